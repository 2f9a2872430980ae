"""The plans of the hot statements over a million rows of everything: no big table is read through,
and what is done for one call, one webhook or one page does not grow with the tables."""

from collections.abc import Callable
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client, override_settings
from django.utils import timezone
from django.utils.module_loading import import_string
from rest_framework.test import APIClient

from polaris import retention
from polaris.audit import sealing
from polaris.database import among
from polaris.metrics import counting
from polaris.metrics.exposition import exposition
from polaris.states import move
from polaris.tests.a_million import (
    BIG_TABLES,
    FIRST_OWNER,
    MANY,
    OWNERS,
    forget_a_million,
    log_id,
    schedule_id,
    write_a_million,
)
from polaris.tests.plans import explained
from schedules import arming, services, watch
from schedules.claims import claim_due, give_back
from schedules.jobstore import first_execution
from schedules.models import ActiveSchedule, CallSchedule, Runner
from schedules.states import ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory
from schedules.waiting import what_waits
from tracking import following_up, housekeeping, ledger, opening
from tracking.carriers.base import CallReport
from tracking.concurrency import calls_in_hand
from tracking.models import CallLog, Notification
from tracking.notifications import outbox
from tracking.reports import apply_report
from tracking.states import CallStatus
from webhooks.housekeeping import take_up

pytestmark = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="the plans are those of PostgreSQL"
)

LEASE = timedelta(minutes=1)
# What one call, webhook or look may touch, over all its statements.
A_HANDFUL = 2_000
OF_ONE_OWNER = MANY // OWNERS


CASES: dict[str, Callable[[], None]] = {}


def case(look):
    """To be looked at over the million rows, and undone."""
    CASES[look.__name__] = look
    return look


def case_of_each(*values):
    """The same, once with each of these."""

    def keep(look):
        CASES.update({f"{look.__name__}[{value}]": partial(look, value) for value in values})
        return look

    return keep


@pytest.fixture
def a_million_rows(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        write_a_million()
    yield
    with django_db_blocker.unblock():
        forget_a_million()


# One test, so that the rows are written once, whatever the number of workers.
@override_settings(CALLS_PER_SECOND=1000, MAX_CONCURRENT_CALLS=10_000)
def test_no_big_table_is_read_through(a_million_rows, db, subtests):
    for name, look in CASES.items():
        with subtests.test(name), undone():
            look()


@contextmanager
def undone():
    """What is written in the block is undone."""
    with transaction.atomic():
        try:
            yield
        finally:
            transaction.set_rollback(True)


@contextmanager
def touching_at_most(rows):
    """Reads no big table through, and of all of them no more than so many rows."""
    with explained() as plans:
        yield
    assert plans
    assert not [plan for plan in plans if plan.tables_read_through & BIG_TABLES]
    touched = sum(plan.rows_touched for plan in plans)
    assert touched <= rows, [plan for plan in plans if plan.rows_touched > rows / 10]


def due(count=50, **fields):
    now = timezone.now()
    return [
        ActiveScheduleFactory(occurrence=now, schedule__phone=f"+1415{n:07d}", **fields)
        for n in range(count)
    ]


def claimed():
    due()
    return claim_due(runner_id="runner_2", moment=timezone.now(), limit=64, lease=LEASE)


# -- the runner ----------------------------------------------------------------------------------


@case
def what_is_due_is_claimed():
    due()

    with touching_at_most(A_HANDFUL):
        claims = claim_due(runner_id="us", moment=timezone.now(), limit=64, lease=LEASE)

    assert len(claims) == 50


@case
def nothing_is_due():
    with touching_at_most(A_HANDFUL):
        claim_due(runner_id="us", moment=timezone.now(), limit=64, lease=LEASE)


@case
def what_is_too_late_or_was_begun_by_a_dead_runner_is_claimed():
    yesterday = timezone.now() - timedelta(days=1)
    due(20, due_at=yesterday, next_execution=yesterday)
    due(20, due_at=yesterday, waits_for="Another call to its number is not over.")
    begun = {"lease": "lease_x", "leased_until": timezone.now() - LEASE}
    due(20, status=ActiveSchedule.Status.RUNNING, **begun)

    with touching_at_most(A_HANDFUL):
        claims = claim_due(runner_id="us", moment=timezone.now(), limit=64, lease=LEASE)

    assert len(claims) == 60


@case
def a_backlog_is_not_walked_through():
    """What waits for the pace after an outage, while what is too late is looked for."""
    moment = timezone.now()
    late = ActiveSchedule.objects.exclude(next_execution=None).values_list("pk", flat=True)
    since = dict.fromkeys(("next_execution", "due_at"), moment - timedelta(seconds=9))
    ActiveSchedule.objects.filter(pk__in=list(late[:20_000])).update(**since)

    with touching_at_most(A_HANDFUL), override_settings(CALLS_PER_SECOND=1):
        claims = claim_due(runner_id="us", moment=moment, limit=64, lease=LEASE)

    assert len(claims) == 1


@case
def the_next_due_time_is_looked_up():
    with touching_at_most(A_HANDFUL):
        first_execution(timezone.now())


@case
def schedules_are_moved_by_their_keys_though_few_were_thought_to_be_in_that_state():
    schedules = CallSchedule.objects.values_list("pk", flat=True)
    begun, ours = list(schedules[:20_000]), list(schedules[20_000:20_064])
    CallSchedule.objects.filter(pk__in=begun).update(status=ScheduleStatus.PENDING)

    with touching_at_most(A_HANDFUL):
        rows = CallSchedule.objects.filter(among("pk", ours))
        move(rows, to=ScheduleStatus.RUNNING, sources={ScheduleStatus.PENDING})


@case
def a_stopping_runner_gives_back_what_it_holds():
    claimed()

    with touching_at_most(A_HANDFUL):
        assert give_back(runner_id="runner_2") == 50


@case
def the_calls_in_hand_are_counted():
    claimed()

    with touching_at_most(A_HANDFUL):
        assert calls_in_hand(timezone.now()) == 50 + 100


@case
def what_waits_is_counted():
    due()

    with touching_at_most(A_HANDFUL):
        assert what_waits(timezone.now()).count == 50


@case
def nobody_runs():
    with touching_at_most(A_HANDFUL):
        watch.note_missing()


@case
def the_runners_are_shown_with_what_they_hold():
    Runner.objects.create(host="here", process_id=1, pk="runner_1")

    with touching_at_most(A_HANDFUL):
        (runner,) = Runner.objects.with_calls_in_hand()

    assert runner.calls_in_hand == 100


# -- the ledger ----------------------------------------------------------------------------------


@case
def the_ledger_is_opened_one_call_to_a_number_and_closed():
    (lease,) = {armed.lease for armed in claimed()}

    with touching_at_most(A_HANDFUL):
        opened = opening.open_claim(lease)
    assert all(each.log for each in opened.values())

    with touching_at_most(A_HANDFUL):
        ledger.record_accepted(
            [
                ledger.Accepted(
                    each.armed,
                    each.log,
                    CallReport(call_id=f"CA{n}", status=CallStatus.QUEUED, at=timezone.now()),
                    timezone.now(),
                )
                for n, each in enumerate(opened.values())
            ]
        )


@case
def what_waited_for_the_end_of_a_call_is_woken():
    with touching_at_most(A_HANDFUL):
        arming.wake_waiting(log_id(7))


# -- webhooks ------------------------------------------------------------------------------------


@case_of_each(log_id(MANY), "")
def a_webhook_ends_a_call(attempt_id):
    sid = f"CA{MANY:032d}"
    report = CallReport(
        call_id=sid,
        status=CallStatus.COMPLETED,
        at=timezone.now(),
        duration=9,
        attempt_id=attempt_id,
    )

    with touching_at_most(A_HANDFUL):
        apply_report(report)

    assert CallLog.objects.get(pk=log_id(MANY)).status == CallStatus.COMPLETED


@case
def webhooks_that_were_left_over_are_looked_for():
    with touching_at_most(A_HANDFUL):
        take_up()


# -- the API -------------------------------------------------------------------------------------


def asks(path, **more):
    """Of somebody with a thousandth of all rows."""
    owner, _ = User.objects.get_or_create(username="owner", id=FIRST_OWNER + 7, **more)
    client = APIClient()
    client.force_authenticate(owner)
    answer = client.get(path.replace("two days ago", since(days=2)))
    assert answer.status_code == 200, answer.content
    return answer.json()


def since(**ago):
    return (timezone.now() - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


OF_SCHEDULES = [
    "",
    "?status=scheduled",
    "?phone=%2B15005550006",
    "?user_profile_id=profile_7",
    "?agent_instance_id=agent_7",
    "?from=2026-01-01&to=2060-01-01",
    "?limit=100&offset=500",
]


@case_of_each(*OF_SCHEDULES)
def a_page_of_schedules_is_read(query):
    with touching_at_most(10 * OF_ONE_OWNER):
        asks(f"/schedule/{query}")


@case_of_each("", "?status=scheduled", f"?schedule_id={schedule_id(7)}")
def a_page_of_armed_calls_is_read(query):
    with touching_at_most(8 * OF_ONE_OWNER):
        asks(f"/schedule/active{query}")


OF_LOGS = [
    "",
    "?status=busy",
    "?phone=%2B15005550006",
    "?user_profile_id=profile_7",
    "?agent_instance_id=agent_7",
    f"?schedule_id={schedule_id(7)}",
    "?start_date=two days ago",
    "?limit=100&offset=500",
]


@case_of_each(*OF_LOGS)
def a_page_of_logs_is_read(query):
    with touching_at_most(4 * OF_ONE_OWNER):
        asks(f"/schedule/tracking/logs{query}")


@case_of_each(*OF_LOGS[:-1])
def the_figures_of_an_owner_are_summed_up(query):
    with touching_at_most(2 * OF_ONE_OWNER):
        asks(f"/schedule/tracking/stats{query}")


@case
def the_figures_of_a_window_are_read_from_it_alone():
    an_hour = 3600 / 2.5
    sees_all = {"is_staff": True, "is_superuser": True}

    with touching_at_most(2 * an_hour):
        found = asks(f"/schedule/tracking/stats?start_date={since(hours=1)}", **sees_all)

    assert 0 < found["total_calls"] <= an_hour + 1


@case
def a_schedule_is_read_with_its_story():
    with touching_at_most(A_HANDFUL):
        asks(f"/schedule/{schedule_id(7)}")
        asks(f"/schedule/{schedule_id(7)}/history")
        asks(f"/schedule/{schedule_id(7)}/occurrences")


@case
def a_schedule_is_paused_resumed_and_cancelled():
    schedule = CallSchedule.objects.get(pk=schedule_id(7))

    with touching_at_most(A_HANDFUL):
        services.pause(schedule)
        services.resume(schedule)
        services.cancel(schedule)


# -- housekeeping --------------------------------------------------------------------------------


@case
def what_a_dead_runner_left_open_is_looked_for():
    CallSchedule.objects.filter(status="running").update(last_updated=timezone.now())

    with touching_at_most(A_HANDFUL):
        housekeeping.recover()


@case
def calls_that_say_nothing_are_looked_for():
    with touching_at_most(A_HANDFUL):
        following_up.follow_up()


@case_of_each("call logs", "schedules", "webhooks", "notifications")
def what_is_too_old_is_looked_for_and_nothing_is(kind):
    kept = {kind: settings.RETENTION[kind] | {"days": 365}}

    with override_settings(RETENTION=kept), touching_at_most(A_HANDFUL):
        assert retention.prune() == {kind: 0}


@case_of_each("call logs", "schedules", "webhooks", "notifications")
def what_is_too_old_is_deleted(kind):
    [rows] = import_string(settings.RETENTION[kind]["rows"])(_when(120))[:1]

    with touching_at_most(3 * A_HANDFUL):
        assert retention._delete(rows, kind) > 0


def _when(number):
    """When the row of that number was written, the oldest being the first."""
    return timezone.now() - timedelta(seconds=2.5 * (MANY - number))


@case
def the_audit_is_sealed_and_counted():
    chain = sealing.locked_chain()
    sealing.move_chain(chain, sequence=MANY)

    with touching_at_most(A_HANDFUL):
        assert sealing.seal_batch() == 100
    counting.Counter.objects.create(pk=counting.Counter.POSITION, value=MANY)
    with touching_at_most(A_HANDFUL):
        assert counting.count_batch() == 100


@case
def the_outbox_is_looked_through():
    Notification.objects.filter(status="waiting")[:1].get()

    with touching_at_most(A_HANDFUL):
        outbox.deliver_due()


# -- the admin and Prometheus --------------------------------------------------------------------


@case
def the_dashboard_is_drawn():
    desk = Client()
    desk.force_login(User.objects.create_superuser("operator"))

    with touching_at_most(60_000):  # of which 34,560 are the calls of a day, counted by outcome
        assert desk.get("/admin/").status_code == 200


@case
def prometheus_is_told():
    with touching_at_most(A_HANDFUL):
        exposition()
