"""APScheduler's view of our rows, driven by a real scheduler."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.events import EVENT_JOB_ERROR, JobExecutionEvent
from apscheduler.triggers.date import DateTrigger
from django.db import OperationalError, connection
from django.utils import timezone
from django_apscheduler.models import DjangoJob, DjangoJobExecution

from polaris.tests.stack import wait_until
from schedules import gate
from schedules.claims import LEAD
from schedules.executor import CallExecutor
from schedules.housekeeping_store import HousekeepingStore
from schedules.jobstore import ArmedJobStore
from schedules.models import ActiveSchedule
from schedules.scheduler import CallScheduler
from schedules.tests.factories import ActiveScheduleFactory

pytestmark = pytest.mark.django_db(transaction=True)

ran: list[tuple[str, str]] = []
hold = threading.Event()


def note(armed_id: str, lease: str, begins_at: float) -> None:
    """Stands for the job that dials."""
    ActiveSchedule.objects.filter(pk=armed_id, lease=lease).delete()
    connection.close()
    ran.append((armed_id, lease))


def wait_for_hold(armed_id: str, lease: str, begins_at: float) -> None:
    """A job that takes long."""
    ran.append((armed_id, lease))
    hold.wait(30)


@pytest.fixture(autouse=True)
def _nothing_ran():
    ran.clear()
    hold.clear()
    yield
    hold.set()


@pytest.fixture
def scheduler(settings):
    settings.SCHEDULER_JOB = "schedules.tests.test_jobstore:note"
    executor = CallExecutor(2)
    store = ArmedJobStore(runner_id="runner_a", executor=executor)
    scheduler = CallScheduler(
        timezone=UTC,
        jobstores={CallExecutor.ALIAS: store},
        executors={CallExecutor.ALIAS: executor},
        jobstore_retry_interval=0.1,
    )
    yield scheduler
    hold.set()
    if scheduler.running:
        scheduler.shutdown()


def due(**fields) -> ActiveSchedule:
    moment = timezone.now() - timedelta(seconds=1)
    return ActiveScheduleFactory(occurrence=moment, **fields)


def store_of(places: int) -> ArmedJobStore:
    """A store that is asked by hand."""
    executor = CallExecutor(places)
    executor.start(CallScheduler(), "calls")
    return ArmedJobStore(runner_id="runner_a", executor=executor)


def test_what_is_due_is_run_and_what_is_not_waits(scheduler):
    armed = due()
    later = ActiveScheduleFactory()

    scheduler.start()

    wait_until(lambda: ran, what="the due job has run")
    assert [armed_id for armed_id, _ in ran] == [armed.pk]
    assert ActiveSchedule.objects.get() == later


def test_what_another_process_arms_is_seen_without_a_restart(scheduler):
    scheduler.start()

    armed = due()

    wait_until(lambda: ran, what="the new job has run")
    assert ran[0][0] == armed.pk


def test_a_submitted_job_stays_in_its_row(scheduler, settings):
    settings.SCHEDULER_JOB = "schedules.tests.test_jobstore:wait_for_hold"
    armed = due()

    scheduler.start()

    wait_until(lambda: ran, what="the job has begun")
    row = ActiveSchedule.objects.get()
    assert row.pk == armed.pk
    assert row.leased_until > timezone.now()
    assert row.schedule.status == "scheduled"  # a thread has it: it waits in no queue


def test_no_more_is_claimed_than_places_are_free(scheduler, settings):
    settings.SCHEDULER_JOB = "schedules.tests.test_jobstore:wait_for_hold"
    for _ in range(5):
        due()

    scheduler.start()

    wait_until(lambda: len(ran) == 2, what="both places are taken")
    wait_until(scheduler.get_jobs, what="the scheduler looks again")
    assert ActiveSchedule.objects.exclude(lease="").count() == 2

    hold.set()
    wait_until(lambda: len(ran) == 5, what="the others get their places")


@pytest.mark.parametrize(("threads", "enough"), [(64, 48), (2, 1), (1, 1)])
def test_places_are_taken_again_when_enough_of_them_are_free(threads, enough):
    assert CallExecutor(threads).enough_places() == enough


def test_stopping_waits_for_what_has_begun(scheduler, settings):
    settings.SCHEDULER_JOB = "schedules.tests.test_jobstore:wait_for_hold"
    due()
    scheduler.start()
    wait_until(lambda: ran, what="the job has begun")

    threading.Timer(0.2, hold.set).start()
    scheduler.shutdown(wait=True)

    assert hold.is_set()


def test_what_is_recorded_as_missed_takes_nothing_of_the_pace(settings):
    executor = CallExecutor(8)
    executor.start(CallScheduler(), "calls")
    settings.CALLS_PER_SECOND = 1
    store = ArmedJobStore(runner_id="runner_a", executor=executor)
    hours_ago = timezone.now() - timedelta(hours=5)
    for _ in range(3):
        ActiveScheduleFactory(occurrence=hours_ago)
    due()

    now = timezone.now()
    claimed = [len(store.get_due_jobs(now)) for _ in range(5)]

    assert claimed == [4, 0, 0, 0, 0]


def test_the_scheduler_outlives_its_database(scheduler, monkeypatch):
    monkeypatch.setattr("schedules.scheduler.RETRY_SECONDS", 0.05)
    read = ArmedJobStore.get_next_run_time
    failures = iter([OperationalError("gone")] * 3)

    def fail_at_first(store):
        error = next(failures, None)
        if error:
            raise error
        return read(store)

    monkeypatch.setattr(ArmedJobStore, "get_next_run_time", fail_at_first)
    scheduler.start()
    wait_until(lambda: next(failures, None) is None, what="the database has failed")

    due()

    wait_until(lambda: ran, what="the job has run all the same")


def test_what_is_too_late_is_looked_for_once_a_second():
    store = store_of(8)
    moment = datetime.now(UTC)
    assert store.get_due_jobs(moment) == []

    ActiveScheduleFactory(occurrence=moment - timedelta(seconds=400))

    assert store.get_due_jobs(moment + timedelta(milliseconds=900)) == []
    assert len(store.get_due_jobs(moment + timedelta(milliseconds=1000))) == 1


def test_what_is_too_late_is_not_handed_over_to_others(monkeypatch):
    monkeypatch.setattr(CallExecutor, "is_queue", True)
    moment = datetime.now(UTC)
    ActiveScheduleFactory(occurrence=moment - timedelta(seconds=400))

    assert store_of(8).get_due_jobs(moment) == []


def test_more_that_is_too_late_is_looked_for_at_once():
    store = store_of(2)
    moment = datetime.now(UTC)
    for _ in range(4):
        ActiveScheduleFactory(occurrence=moment - timedelta(seconds=400))

    assert [len(store.get_due_jobs(moment)) for _ in range(2)] == [2, 2]


def test_a_due_row_that_cannot_be_claimed_is_not_looked_for_without_a_pause():
    store = store_of(8)
    due()

    before = datetime.now(UTC)

    assert store.get_next_run_time() > before


def test_while_dialling_is_stopped_what_is_due_is_looked_for_as_seldom_as_when_idle(settings):
    store = store_of(8)
    due()
    gate.close("maintenance", by="user_1")

    before = datetime.now(UTC)

    assert store.get_due_jobs(before) == []
    assert store.get_next_run_time() >= before + settings.SCHEDULER_POLL
    gate.reopen(by="user_1")
    assert len(store.get_due_jobs(datetime.now(UTC))) == 1


def test_a_housekeeping_job_goes_on_where_a_runner_died_between_its_two_writes():
    store = HousekeepingStore()
    scheduler = CallScheduler(timezone=UTC, jobstores={"housekeeping": store})
    scheduler.start(paused=True)
    scheduler.add_job(tidy, "interval", seconds=60, id="tidy", jobstore="housekeeping")
    # The row says that it is due, the pickled job still holds another time.
    DjangoJob.objects.update(next_run_time=timezone.now() - timedelta(seconds=5))

    taken = [job.id for job in store.get_due_jobs(timezone.now())]
    scheduler.shutdown()

    assert taken == ["tidy"]


def test_jobs_are_read_from_rows_paused_ones_last(scheduler):
    paused = ActiveScheduleFactory(next_execution=None, status=ActiveSchedule.Status.PAUSED)
    armed = ActiveScheduleFactory()
    scheduler.start()

    jobs = scheduler.get_jobs()

    assert [job.id for job in jobs] == [armed.job_id, paused.job_id]
    assert [job.next_run_time for job in jobs] == [armed.next_execution, None]
    assert scheduler.get_job(armed.job_id).args == (armed.pk, "", 0.0)
    assert scheduler.get_job("job_of_nobody") is None


def test_jobs_cannot_be_added_or_removed_behind_the_services(scheduler):
    armed = ActiveScheduleFactory()
    scheduler.start()

    with pytest.raises(NotImplementedError):
        scheduler.add_job(tidy, DateTrigger(), jobstore=CallExecutor.ALIAS)
    with pytest.raises(NotImplementedError):
        scheduler.remove_all_jobs()
    scheduler.remove_job(armed.job_id)

    assert ActiveSchedule.objects.count() == 1


def test_a_due_time_wakes_the_scheduler_exactly_and_otherwise_it_polls(settings):
    executor = CallExecutor(2)
    CallScheduler(executors={CallExecutor.ALIAS: executor}).start()
    store = ArmedJobStore(runner_id="runner_a", executor=executor)
    moment = timezone.now() + LEAD + timedelta(milliseconds=200)

    before = datetime.now(UTC)
    idle = store.get_next_run_time()
    ActiveScheduleFactory(occurrence=moment)

    assert before + settings.SCHEDULER_POLL <= idle
    assert store.get_next_run_time() == ActiveSchedule.objects.get().next_execution - LEAD
    executor._scheduler.shutdown()


def test_housekeeping_hears_its_own_jobs_only_and_runs_once_among_runners():
    schedulers = []
    for _ in range(2):
        scheduler = CallScheduler(timezone=UTC, jobstores={"housekeeping": HousekeepingStore()})
        scheduler.add_jobstore("memory", "others")
        scheduler.start()
        schedulers.append(scheduler)
    moment = datetime.now(UTC) + timedelta(seconds=1)
    schedulers[0].add_job(
        tidy, "interval", seconds=3600, start_date=moment, id="tidy", jobstore="housekeeping"
    )
    schedulers[0].add_job(tidy, id="foreign", jobstore="others")
    schedulers[1].wakeup()

    wait_until(lambda: ran.count(("tidy", "")) == 2, what="both jobs have run")
    done = DjangoJobExecution.objects.filter(status=DjangoJobExecution.SUCCESS)
    wait_until(done.exists, what="its history is written")
    wait_until(
        lambda: DjangoJob.objects.get().next_run_time > datetime.now(UTC) + timedelta(minutes=1),
        what="it is planned again",
    )
    for scheduler in schedulers:
        scheduler.shutdown()

    assert ran.count(("tidy", "")) == 2
    assert [execution.job_id for execution in DjangoJobExecution.objects.all()] == ["tidy"]


def test_what_a_failed_job_said_is_kept_without_numbers():
    store = HousekeepingStore()
    scheduler = CallScheduler(timezone=UTC, jobstores={"housekeeping": store})
    scheduler.start(paused=True)
    scheduler.add_job(tidy, "interval", seconds=60, id="tidy", jobstore="housekeeping")
    said = "Failing row contains (+4915112345678)."
    error = ValueError(said)
    event = JobExecutionEvent(
        EVENT_JOB_ERROR, "tidy", "housekeeping", timezone.now(), exception=error, traceback=said
    )

    store._keep_error(event)
    scheduler.shutdown()

    kept = DjangoJobExecution.objects.get()
    assert kept.exception == kept.traceback == "Failing row contains (+4••••••••5678)."
    assert event.exception is error


def tidy() -> None:
    """Stands for a housekeeping job."""
    ran.append(("tidy", ""))
