"""The plans of the hot statements over a million rows of everything: no big table is read through,
and what is done for one call, one webhook or one page does not grow with the tables."""

from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient

from polaris import retention
from polaris.audit import sealing
from polaris.metrics import counting
from polaris.metrics.exposition import exposition
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
from schedules.models import ActiveSchedule, CallSchedule, Runner
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

pytestmark = [
    pytest.mark.skipif(
        connection.vendor != "postgresql", reason="the plans are those of PostgreSQL"
    ),
    pytest.mark.xdist_group("a million rows"),
    pytest.mark.django_db,
]

LEASE = timedelta(minutes=1)
# What one call, webhook or look may touch, over all its statements.
A_HANDFUL = 2_000
OF_ONE_OWNER = MANY // OWNERS


@pytest.fixture(scope="module", autouse=True)
def _a_million_rows(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        write_a_million()
    yield
    with django_db_blocker.unblock():
        forget_a_million()


@pytest.fixture(autouse=True)
def _pace(settings):
    settings.CALLS_PER_SECOND, settings.MAX_CONCURRENT_CALLS = 1000, 10_000
    settings.METRICS_TOKEN = ["a token that only prometheus knows"]


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


def test_what_is_due_is_claimed():
    due()

    with touching_at_most(A_HANDFUL):
        claims = claim_due(runner_id="us", moment=timezone.now(), limit=64, lease=LEASE)

    assert len(claims) == 50


def test_nothing_is_due():
    with touching_at_most(A_HANDFUL):
        claim_due(runner_id="us", moment=timezone.now(), limit=64, lease=LEASE)


def test_what_is_too_late_or_was_begun_by_a_dead_runner_is_claimed():
    due(20, due_at=timezone.now() - timedelta(days=1))
    due(20, status=ActiveSchedule.Status.RUNNING, leased_until=timezone.now() - LEASE)

    with touching_at_most(A_HANDFUL):
        claim_due(runner_id="us", moment=timezone.now(), limit=64, lease=LEASE)


def test_the_next_due_time_is_looked_up():
    with touching_at_most(A_HANDFUL):
        ActiveSchedule.objects.free(timezone.now()).earliest_execution()


def test_a_stopping_runner_gives_back_what_it_holds():
    claimed()

    with touching_at_most(A_HANDFUL):
        assert give_back(runner_id="runner_2") == 50


def test_the_calls_in_hand_are_counted():
    claimed()

    with touching_at_most(A_HANDFUL):
        assert calls_in_hand(timezone.now()) == 50 + 100


def test_what_waits_is_counted():
    due()

    with touching_at_most(A_HANDFUL):
        assert what_waits(timezone.now()).count == 50


def test_nobody_runs():
    with touching_at_most(A_HANDFUL):
        watch.note_missing()


def test_the_runners_are_shown_with_what_they_hold():
    Runner.objects.create(host="here", process_id=1, pk="runner_1")

    with touching_at_most(A_HANDFUL):
        (runner,) = Runner.objects.with_calls_in_hand()

    assert runner.calls_in_hand == 100


# -- the ledger ----------------------------------------------------------------------------------


def test_the_ledger_is_opened_one_call_to_a_number_and_closed():
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


def test_what_waited_for_the_end_of_a_call_is_woken():
    with touching_at_most(A_HANDFUL):
        arming.wake_waiting(log_id(7))


# -- webhooks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempt_id", [log_id(MANY), ""])
def test_a_webhook_ends_a_call(attempt_id):
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


def test_webhooks_that_were_left_over_are_looked_for():
    with touching_at_most(A_HANDFUL):
        take_up()


# -- the API -------------------------------------------------------------------------------------


@pytest.fixture
def owner():
    """Somebody with a thousandth of all rows."""
    return User.objects.create_user("owner", id=FIRST_OWNER + 7)


@pytest.fixture
def asks(owner):
    client = APIClient()
    client.force_authenticate(owner)

    def ask(path):
        answer = client.get(path.replace("two days ago", since(days=2)))
        assert answer.status_code == 200, answer.content
        return answer.json()

    return ask


OF_SCHEDULES = [
    "",
    "?status=scheduled",
    "?phone=%2B15005550006",
    "?user_profile_id=profile_7",
    "?agent_instance_id=agent_7",
    "?from=2026-01-01&to=2060-01-01",
    "?limit=100&offset=500",
]


@pytest.mark.parametrize("query", OF_SCHEDULES)
def test_a_page_of_schedules_is_read(asks, query):
    with touching_at_most(10 * OF_ONE_OWNER):
        asks(f"/schedule/{query}")


@pytest.mark.parametrize("query", ["", "?status=scheduled", f"?schedule_id={schedule_id(7)}"])
def test_a_page_of_armed_calls_is_read(asks, query):
    with touching_at_most(6 * OF_ONE_OWNER):
        asks(f"/schedule/active{query}")


def since(**ago):
    return (timezone.now() - timedelta(**ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


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


@pytest.mark.parametrize("query", OF_LOGS)
def test_a_page_of_logs_is_read(asks, query):
    with touching_at_most(4 * OF_ONE_OWNER):
        asks(f"/schedule/tracking/logs{query}")


@pytest.mark.parametrize("query", OF_LOGS[:-1])
def test_the_figures_of_an_owner_are_summed_up(asks, query):
    with touching_at_most(2 * OF_ONE_OWNER):
        asks(f"/schedule/tracking/stats{query}")


def test_the_figures_of_a_window_are_read_from_it_alone(asks, owner):
    owner.is_staff = owner.is_superuser = True
    owner.save()
    an_hour = 3600 / 2.5

    with touching_at_most(2 * an_hour):
        found = asks(f"/schedule/tracking/stats?start_date={since(hours=1)}")

    assert found["total_calls"] == pytest.approx(an_hour, abs=300)


def test_a_schedule_is_read_with_its_story(asks):
    with touching_at_most(A_HANDFUL):
        asks(f"/schedule/{schedule_id(7)}")
        asks(f"/schedule/{schedule_id(7)}/history")
        asks(f"/schedule/{schedule_id(7)}/occurrences")


def test_a_schedule_is_paused_resumed_and_cancelled():
    schedule = CallSchedule.objects.get(pk=schedule_id(7))

    with touching_at_most(A_HANDFUL):
        services.pause(schedule)
        services.resume(schedule)
        services.cancel(schedule)


# -- housekeeping --------------------------------------------------------------------------------


def test_what_a_dead_runner_left_open_is_looked_for():
    CallSchedule.objects.filter(status="running").update(last_updated=timezone.now())

    with touching_at_most(A_HANDFUL):
        housekeeping.recover()


def test_calls_that_say_nothing_are_looked_for():
    with touching_at_most(A_HANDFUL):
        following_up.follow_up()


@pytest.mark.parametrize("kind", ["call logs", "schedules", "webhooks", "notifications"])
def test_what_is_too_old_is_looked_for_and_nothing_is(settings, kind):
    settings.RETENTION = {kind: settings.RETENTION[kind] | {"days": 365}}

    with touching_at_most(A_HANDFUL):
        assert retention.prune() == {kind: 0}


@pytest.mark.parametrize("kind", ["call logs", "schedules", "webhooks", "notifications"])
def test_what_is_too_old_is_deleted(settings, kind, monkeypatch):
    # The oldest hundred or so.
    settings.RETENTION = {kind: settings.RETENTION[kind] | {"days": 1}}
    days = 2.5 * (MANY - 120) / 86_400
    monkeypatch.setattr(retention, "oldest_kept", lambda _: timezone.now() - timedelta(days=days))

    with touching_at_most(2 * A_HANDFUL):
        assert retention.prune()[kind] > 0


def test_the_audit_is_sealed_and_counted():
    chain = sealing.locked_chain()
    sealing.move_chain(chain, sequence=MANY)

    with touching_at_most(A_HANDFUL):
        assert sealing.seal_batch() == 100
    counting.Counter.objects.create(pk=counting.Counter.POSITION, value=MANY)
    with touching_at_most(A_HANDFUL):
        assert counting.count_batch() == 100


def test_the_outbox_is_looked_through():
    Notification.objects.filter(status="waiting")[:1].get()

    with touching_at_most(A_HANDFUL):
        outbox.deliver_due()


# -- the admin and Prometheus --------------------------------------------------------------------


def test_the_dashboard_is_drawn(desk):
    with touching_at_most(60_000):  # of which 34,560 are the calls of a day, counted by outcome
        assert desk.get("/admin/").status_code == 200


def test_prometheus_is_told():
    with touching_at_most(A_HANDFUL):
        exposition()
