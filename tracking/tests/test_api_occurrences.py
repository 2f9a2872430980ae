"""GET /schedule/{id}/occurrences: why was I, or was I not, called?"""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from polaris.access import owner_id
from polaris.tests.accounts import signed_in
from schedules import gate, services
from schedules.models import ActiveSchedule, CallSchedule, Pause, Runner
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.tests.factories import CallLogFactory

NOW = datetime(2026, 1, 10, 9, 30, tzinfo=UTC)
DAILY = {"enabled": True, "frequency": "daily", "interval": 1}
HOURLY = {"enabled": True, "frequency": "hourly", "interval": 1}

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_winter")]


@pytest.fixture
def _winter():
    with time_machine.travel(NOW, tick=False):
        yield


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def daily(client_user):
    """A call of the client's, daily at 12:00 UTC since 1 January, the next one armed."""

    def make(*, armed="2026-01-10T12:00", **fields):
        schedule = CallScheduleFactory(
            **{
                "created_by": owner_id(client_user),
                "created_at": utc("2026-01-01T00:00"),
                "last_updated": utc("2026-01-09T12:01"),
                "scheduled_time": utc("2026-01-01T12:00"),
                "repeat_config": DAILY,
                **fields,
            }
        )
        if armed:
            ActiveScheduleFactory(schedule=schedule, occurrence=utc(armed), due_at=utc(armed))
        return schedule

    return make


@pytest.fixture
def ask(api):
    """The occurrences of a schedule."""

    def send(schedule, query=""):
        return api.get(f"/schedule/{schedule.pk}/occurrences{query}")

    return send


@pytest.fixture
def told(ask):
    """The one occurrence of a moment: its outcome and its reason."""

    def send(schedule, at):
        answer = ask(schedule, f"?from={at}:00Z&to={at}:00Z")
        assert answer.status_code == 200, answer.content
        (line,) = answer.json()["results"]
        return line["outcome"], line["reason"]

    return send


def log(schedule, at, **fields):
    return CallLogFactory(
        schedule=schedule, occurrence=utc(at), timestamp=utc(at), **{"status": "completed"} | fields
    )


# -- what the ledger says ----------------------------------------------------------------------
def test_a_call_that_was_answered(ask, daily):
    schedule = daily(timezone="America/New_York")
    made = log(schedule, "2026-01-09T12:00", duration=35)

    answer = ask(schedule, "?from=2026-01-09&to=2026-01-09")

    assert answer.json() == {
        "count": 1,
        "next": None,
        "previous": None,
        "results": [
            {
                "occurrence": "2026-01-09T12:00:00Z",
                "local": "2026-01-09T07:00:00-05:00",
                "outcome": "completed",
                "reason": "It was answered, 35 s talked.",
                "attempts": [
                    {
                        "log_id": made.pk,
                        "attempt": 1,
                        "status": "completed",
                        "timestamp": "2026-01-09T12:00:00Z",
                        "error_code": "",
                        "error_message": "",
                    }
                ],
            }
        ],
    }


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "pending"}, "It is being placed; the carrier has not answered yet."),
        ({"status": "ringing"}, "It is ringing."),
        ({"status": "busy", "error_message": "The line was busy."}, "The line was busy."),
        ({"status": "no_answer"}, "Nobody answered."),
        ({"status": "failed", "error_message": "Not a number."}, "Not a number."),
        (
            {"status": "missed", "error_message": "It overlapped."},
            "It was not dialled. It overlapped.",
        ),
        (
            {"status": "cancelled", "error_message": "Its schedule was paused."},
            "It was cancelled. Its schedule was paused.",
        ),
        ({"status": "unknown", "error_message": "Nobody knows."}, "Nobody knows."),
        (
            {"status": "deferred", "error_message": "Too many calls."},
            "The carrier refused it for now. Too many calls.",
        ),
    ],
)
def test_what_became_of_a_call(told, daily, fields, reason):
    schedule = daily()
    log(schedule, "2026-01-09T12:00", **fields)

    assert told(schedule, "2026-01-09T12:00") == (fields["status"], reason)


def test_all_attempts_of_one_occurrence_are_told_together(ask, daily):
    schedule = daily()
    log(schedule, "2026-01-09T12:00", status="busy", error_message="The line was busy.")
    log(schedule, "2026-01-09T12:00", attempt=2, duration=35)

    (line,) = ask(schedule, "?from=2026-01-09&to=2026-01-09").json()["results"]

    assert line["outcome"] == "completed"
    assert line["reason"] == (
        "Attempt 1: The line was busy. Attempt 2: It was answered, 35 s talked."
    )
    assert [(each["attempt"], each["status"]) for each in line["attempts"]] == [
        (1, "busy"),
        (2, "completed"),
    ]


def test_a_further_attempt_is_waited_for(told, daily):
    schedule = daily()
    log(schedule, "2026-01-10T09:00", status="busy", error_message="The line was busy.")
    ActiveScheduleFactory(
        schedule=schedule,
        occurrence=utc("2026-01-10T09:00"),
        attempt=2,
        origin="retry",
        due_at=utc("2026-01-10T09:35"),
        next_execution=utc("2026-01-10T09:35"),
    )

    assert told(schedule, "2026-01-10T09:00") == (
        "waiting",
        "The line was busy. Attempt 2 is due on Sat 10 Jan 2026, 09:35 UTC.",
    )


def test_a_refused_call_is_asked_again(told, daily):
    schedule = daily(armed=None)
    log(schedule, "2026-01-10T09:29", status="deferred", error_message="Too many calls.")
    ActiveScheduleFactory(
        schedule=schedule,
        occurrence=utc("2026-01-10T09:29"),
        next_execution=utc("2026-01-10T09:31"),
        waits_for="Too many calls.",
        asked=1,
    )

    assert told(schedule, "2026-01-10T09:29") == (
        "deferred",
        "The carrier refused it for now. Too many calls. The carrier is asked again on "
        "Sat 10 Jan 2026, 09:31 UTC.",
    )


def test_what_an_operator_asked_for_is_listed_beside_the_rule(told, daily):
    schedule = daily()
    log(schedule, "2026-01-09T15:17", metadata={"origin": "operator"}, duration=5)

    assert told(schedule, "2026-01-09T15:17") == (
        "completed",
        "It was answered, 5 s talked. An operator asked for it.",
    )


# -- what is armed, and what the rule says -------------------------------------------------------
def test_the_next_call_is_planned_and_so_are_those_after_it(told, daily):
    schedule = daily()

    assert told(schedule, "2026-01-10T12:00") == (
        "planned",
        "It is due on Sat 10 Jan 2026, 12:00 UTC.",
    )
    assert told(schedule, "2026-01-11T12:00") == ("planned", "Its rule names it.")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "It is due. No runner has taken it yet."),
        ({"waits_for": "The last call goes on."}, "It is due and waits. The last call goes on."),
        (
            {"status": "pending", "leased_until": NOW + timedelta(minutes=1)},
            "It is being dialled.",
        ),
        (
            {"status": "pending", "leased_until": NOW - timedelta(minutes=1)},
            "It is due. No runner has taken it yet.",
        ),
        (
            {"origin": "operator"},
            "An operator asked for it. It is due. No runner has taken it yet.",
        ),
    ],
)
def test_why_a_due_call_waits(told, daily, row, reason):
    Runner.objects.create(host="a", process_id=1)
    schedule = daily(armed=None)
    ActiveScheduleFactory(
        schedule=schedule,
        occurrence=utc("2026-01-10T09:29"),
        next_execution=utc("2026-01-10T09:29"),
        **row,
    )

    assert told(schedule, "2026-01-10T09:29") == ("waiting", reason)


def test_that_nobody_is_there_to_dial_it_is_said(told, daily):
    schedule = daily(armed="2026-01-10T09:29")

    assert told(schedule, "2026-01-10T09:29") == (
        "waiting",
        "It is due. No runner is there to dial.",
    )


def test_a_closed_gate_is_named(told, daily):
    schedule = daily(armed="2026-01-10T09:29")
    gate.close("The account is suspended.")

    assert told(schedule, "2026-01-10T09:29") == (
        "waiting",
        "It is due. Nothing is dialled since Sat 10 Jan 2026, 09:30 UTC: The account is suspended.",
    )


def test_a_call_outside_the_window_is_skipped(ask, daily):
    schedule = daily(
        repeat_config=HOURLY,
        calling_window={"start": "08:00", "end": "13:00"},
        armed="2026-01-10T12:00",
    )

    answer = ask(schedule, "?from=2026-01-10T12:00:00Z&to=2026-01-10T14:00:00Z")

    planned, skipped, also = answer.json()["results"]
    assert (planned["outcome"], also["outcome"]) == ("planned", "skipped")
    assert skipped == {
        "occurrence": None,
        "local": "2026-01-10T13:00:00",
        "outcome": "skipped",
        "reason": (
            "It is outside the calling window, 08:00 to 13:00 every day, on the schedule's clock."
        ),
        "attempts": [],
    }


def test_a_holiday_is_skipped_with_its_name(ask, daily):
    schedule = daily(
        timezone="America/New_York",
        repeat_config=DAILY | {"skip_holidays": "US"},
        armed=None,
    )

    (line,) = ask(schedule, "?from=2026-01-19T00:00:00Z&to=2026-01-19T23:00:00Z").json()["results"]

    assert (line["occurrence"], line["outcome"]) == (None, "skipped")
    assert "Martin Luther King" in line["reason"]


def test_a_moved_call_says_so(ask, daily):
    schedule = daily(
        timezone="America/New_York",
        scheduled_time=utc("2026-01-01T07:30"),
        armed="2026-01-11T07:30",
    )

    (line,) = ask(schedule, "?from=2026-03-08T00:00:00Z&to=2026-03-08T12:00:00Z").json()["results"]

    assert line["outcome"] == "planned"
    assert line["local"] == "2026-03-08T03:30:00-04:00"
    assert line["reason"] == "Its rule names it. The clock skips 02:30 that day."


def test_a_paused_schedule_dials_nothing(told, api, daily):
    schedule = daily()
    services.pause(schedule)
    words = (
        "The schedule is paused since Sat 10 Jan 2026, 09:30 UTC; what comes due meanwhile is not "
        "dialled."
    )

    assert told(schedule, "2026-01-10T12:00") == ("paused", words)
    assert told(schedule, "2026-01-11T12:00") == ("paused", words)


def test_a_schedule_that_was_paused_because_it_cannot_go_on_says_why(told, daily):
    schedule = daily(
        status="paused",
        status_reason="Its rule cannot be followed.",
        last_updated=utc("2026-01-08T12:01"),
        armed=None,
    )

    assert told(schedule, "2026-01-09T12:00") == (
        "paused",
        "The schedule is paused; what comes due meanwhile is not dialled. Its rule cannot be "
        "followed.",
    )


def test_what_fell_into_a_pause_names_it(told, daily):
    schedule = daily()
    Pause.objects.create(
        schedule=schedule,
        began_at=utc("2026-01-04T08:00"),
        ended_at=utc("2026-01-06T08:00"),
    )

    words = "The schedule was paused from Sun 4 Jan 2026, 08:00 UTC to Tue 6 Jan 2026, 08:00 UTC."
    assert told(schedule, "2026-01-04T12:00") == ("paused", words)
    assert told(schedule, "2026-01-05T12:00") == ("paused", words)
    assert told(schedule, "2026-01-06T12:00")[0] != "paused"


def test_what_was_due_when_it_was_paused_names_the_pause(told, daily):
    schedule = daily()
    Pause.objects.create(
        schedule=schedule,
        began_at=utc("2026-01-04T12:01"),
        ended_at=utc("2026-01-04T15:00"),
    )

    assert told(schedule, "2026-01-04T12:00")[0] == "paused"


def test_a_cancelled_schedule_says_when(told, daily):
    schedule = daily()
    log(schedule, "2026-01-09T12:00")
    services.cancel(schedule)

    words = "The schedule was cancelled on Sat 10 Jan 2026, 09:30 UTC."
    assert told(schedule, "2026-01-10T12:00") == ("cancelled", words)
    with time_machine.travel(utc("2026-01-20T00:00"), tick=False):
        assert told(schedule, "2026-01-15T12:00") == ("cancelled", words)
    assert told(schedule, "2026-01-09T12:00")[0] == "completed"


def test_what_a_changed_plan_left_unwritten_says_what_is_not_known(told, daily):
    schedule = daily(revision=3)

    assert told(schedule, "2026-01-05T12:00") == (
        "changed",
        "Nothing was written down for this time. The schedule was changed 2 times since it was "
        "created on Thu 1 Jan 2026, 00:00 UTC, so its plan may have been another one then; when "
        "it was changed is not kept.",
    )


def test_what_nobody_can_explain_is_not_explained_away(told, daily):
    outcome, reason = told(daily(), "2026-01-05T12:00")

    assert outcome == "unknown"
    assert reason.startswith("Nothing was written down for this time, and nothing that is kept")


def test_a_one_time_call_that_was_brought_forward(told, daily):
    schedule = daily(
        repeat_config=None, scheduled_time=utc("2026-01-12T12:00"), armed="2026-01-12T12:00"
    )
    services.call_now(schedule)

    assert told(schedule, "2026-01-12T12:00") == (
        "changed",
        "Its call was brought forward: it is, or was, made at another time.",
    )
    assert told(schedule, "2026-01-10T09:30")[0] == "waiting"


def test_nothing_is_told_of_times_before_the_schedule_was_made(ask, daily):
    schedule = daily(created_at=utc("2026-01-09T00:00"))

    answer = ask(schedule, "?from=2026-01-01&to=2026-01-10T23:00:00Z")

    assert [line["occurrence"] for line in answer.json()["results"]] == [
        "2026-01-09T12:00:00Z",
        "2026-01-10T12:00:00Z",
    ]


def test_a_rule_that_cannot_be_followed_leaves_what_was_written_down(ask, daily):
    schedule = daily(repeat_config={"enabled": True, "frequency": "sometimes"}, armed=None)
    log(schedule, "2026-01-09T12:00", status="failed", error_message="Its rule is broken.")

    (line,) = ask(schedule).json()["results"]

    assert (line["outcome"], line["reason"]) == ("failed", "Its rule is broken.")


# -- the list ----------------------------------------------------------------------------------
def test_a_week_back_and_a_week_ahead_in_order_of_time(ask, daily):
    answer = ask(daily())

    shown = [line["occurrence"] for line in answer.json()["results"]]
    assert shown == [f"2026-01-{day:02}T12:00:00Z" for day in range(3, 17)]
    assert answer.json()["count"] == 14


@pytest.mark.parametrize(
    ("query", "first", "last"),
    [
        ("?from=2026-01-10", "2026-01-10", "2026-01-23"),
        ("?to=2026-01-10", "2026-01-01", "2026-01-10"),
        ("?from=2026-01-11&to=2026-01-12", "2026-01-11", "2026-01-12"),
        ("?from=2027-01-01", "2027-01-01", "2027-01-14"),
        ("?from=2026-01-11T12:00:00Z&to=2026-01-12T11:59:59Z", "2026-01-11", "2026-01-11"),
        ("?from=&to=", "2026-01-03", "2026-01-16"),
    ],
)
def test_from_and_to_are_included(ask, daily, query, first, last):
    results = ask(daily(), query).json()["results"]

    assert results[0]["occurrence"][:10] == first
    assert results[-1]["occurrence"][:10] == last


def test_pages_follow_one_another(ask, api, daily):
    schedule = daily()

    one = ask(schedule, "?limit=5&page=2")
    two = api.get(one.json()["next"])
    back = api.get(one.json()["previous"])

    assert one.json()["count"] == 14
    assert [line["occurrence"][8:10] for line in one.json()["results"]] == [
        "08", "09", "10", "11", "12",
    ]  # fmt: skip
    assert [line["occurrence"][8:10] for line in two.json()["results"]] == ["13", "14", "15", "16"]
    assert two.json()["next"] is None
    assert back.json()["results"][0]["occurrence"][8:10] == "03"
    assert back.json()["previous"] is None
    assert ask(schedule, "?page=9").json()["results"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?from=yesterday", "from"),
        ("?from=2026-02-30", "from"),
        ("?to=x", "to"),
        ("?from=2026-01-02&to=2026-01-01", "to"),
        ("?from=2026-01-02&to=2027-01-04", "to"),
        ("?page=0", "page"),
        ("?limit=101", "limit"),
        ("?limit=x", "limit"),
        ("?offset=1", "offset"),
        ("?page=1&page=2", "page"),
        ("?from=9999-12-30", "from"),
        ("?to=0001-01-02", "from"),
    ],
)
def test_its_query_is_strict(ask, daily, query, field):
    answer = ask(daily(), query)

    assert answer.status_code == 400, answer.content
    assert answer.json()["error_code"] == "REQUEST_007"
    assert answer.json()["details"]["field"] == field


def test_too_many_are_refused(ask, daily, monkeypatch):
    monkeypatch.setattr("tracking.explaining.MOST_OCCURRENCES", 13)

    answer = ask(daily())

    assert (answer.status_code, answer.json()["details"]["field"]) == (400, "to")


def test_it_asks_the_database_as_often_for_many_as_for_few(ask, daily, django_assert_num_queries):
    schedule = daily()
    log(schedule, "2026-01-09T12:00")
    ask(schedule)
    with CaptureQueriesContext(connection) as few:
        ask(schedule)
    for day in range(3, 9):
        for attempt in (1, 2, 3):
            log(schedule, f"2026-01-{day:02}T12:00", attempt=attempt, status="busy")
        Pause.objects.create(schedule=schedule, ended_at=NOW)

    with django_assert_num_queries(len(few)):
        assert ask(schedule).json()["count"] == 14


@pytest.mark.parametrize("slash", ["", "/"])
def test_it_is_seen_by_whoever_sees_the_schedule(api, daily, slash):
    mine, other = daily(), daily(created_by="user_0")
    path = f"/schedule/{{}}/occurrences{slash}"

    assert api.get(path.format(mine.pk)).status_code == 200
    assert api.get(path.format(other.pk)).status_code == 404
    assert api.get(path.format("nothing")).json()["error_code"] == "SCHEDULE_004"
    assert APIClient().get(path.format(mine.pk)).status_code == 401
    assert signed_in("view_callschedule").get(path.format(other.pk)).status_code == 200
    assert signed_in("view_calllog").get(path.format(other.pk)).status_code == 404


def test_nothing_is_written(ask, daily):
    schedule = daily()
    before = [*CallSchedule.objects.values(), *ActiveSchedule.objects.values()]

    ask(schedule)

    assert [*CallSchedule.objects.values(), *ActiveSchedule.objects.values()] == before
