"""GET, PUT, PATCH and DELETE /schedule/{id}."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from polaris.access import owner_id
from polaris.errors import ChangedMeanwhile
from schedules import arming, services, views
from schedules.models import ActiveSchedule, CallSchedule
from schedules.planning import make_plan
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory

NOW = datetime(2026, 1, 10, 9, tzinfo=UTC)
FIRST = datetime(2026, 1, 15, 10, tzinfo=UTC)
DAILY = {"enabled": True, "frequency": "daily", "interval": 1}

EDITABLE = ("created", "scheduled", "paused")
BEING_PLACED = ("pending", "running")
OVER = ("completed", "failed", "cancelled")


@pytest.fixture
def _winter():
    with time_machine.travel(NOW, tick=False):
        yield


pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_winter")]


@pytest.fixture
def schedule(client_user):
    """A call on 15 January at 10:00, armed."""
    armed = ActiveScheduleFactory(
        schedule__created_by=owner_id(client_user),
        schedule__scheduled_time=FIRST,
        schedule__timezone="America/New_York",
        schedule__description="Before",
        schedule__notes="Kept",
    )
    return armed.schedule


def path_of(schedule, slash=""):
    return f"/schedule/{schedule.pk}{slash}"


def stored(schedule):
    """Every field of a schedule and of what is armed of it."""
    rows = CallSchedule.objects.filter(pk=schedule.pk).values()
    return [*rows, *ActiveSchedule.objects.filter(schedule=schedule).values()]


def set_up(schedule, **fields):
    CallSchedule.objects.filter(pk=schedule.pk).update(**fields)
    schedule.refresh_from_db()


# -- GET -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_schedule_is_shown_with_every_field_of_the_contract(api, schedule, slash):
    answer = api.get(path_of(schedule, slash))

    assert answer.status_code == 200
    shown = answer.json()
    assert shown.pop("created_at")
    assert shown.pop("last_updated")
    assert shown == {
        "id": schedule.pk,
        "created_by": schedule.created_by,
        "user_profile_id": "",
        "agent_instance_id": "",
        "phone": "+15005550006",
        "scheduled_time": "2026-01-15T10:00:00Z",
        "timezone": "America/New_York",
        "status": "scheduled",
        "status_reason": "",
        "call_type": "outbound",
        "description": "Before",
        "repeat_config": None,
        "calling_window": None,
        "retry_policy": None,
        "overlap": "skip",
        "next_execution": "2026-01-15T10:00:00Z",
        "call_id": "",
        "duration": None,
        "notes": "Kept",
    }


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
@pytest.mark.parametrize("name", ["nothing", "tracking", "x" * 3000])
def test_an_id_that_does_not_exist_is_not_found(api, method, name):
    answer = getattr(api, method)(f"/schedule/{name}", {"phone": "+1"}, format="json")

    expected = (400, "SCHEDULE_003") if method == "put" else (404, "SCHEDULE_004")
    assert (answer.status_code, answer.json()["error_code"]) in {expected, (404, "SCHEDULE_004")}
    assert len(answer.content) < 2000


@pytest.mark.parametrize(
    "path", ["%00", "a%2Fb", "%F0%9F%98%80", "%ff", "a b", "%0a", "..", "a.b", "%ED%A0%80", "/"]
)
@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_a_path_that_can_hold_no_id_is_not_found(api, method, path):
    answer = getattr(api, method)(f"/schedule/{path}")

    assert (answer.status_code, answer.json()["error_code"]) == (404, "REQUEST_002")


# -- PUT -----------------------------------------------------------------------------------------


def test_put_replaces_everything_and_gives_defaults_to_what_is_not_sent(api, schedule):
    body = {"phone": "+1234567890", "scheduled_time": "2026-01-20T08:00:00Z"}

    answer = api.put(path_of(schedule), body, format="json")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "message": "Schedule updated successfully",
        "schedule_id": schedule.pk,
        "next_execution": "2026-01-20T08:00:00Z",
    }
    schedule.refresh_from_db()
    assert (schedule.phone, schedule.timezone) == ("+1234567890", "UTC")
    assert (schedule.description, schedule.notes) == ("", "")
    assert schedule.scheduled_time == datetime(2026, 1, 20, 8, tzinfo=UTC)


def test_put_needs_what_post_needs(api, schedule):
    before = stored(schedule)

    answer = api.put(path_of(schedule), {"phone": "+1234567890"}, format="json")

    assert answer.status_code == 400
    assert answer.json()["error_code"] == "SCHEDULE_003"
    assert answer.json()["details"]["field"] == "scheduled_time"
    assert stored(schedule) == before


def test_what_get_shows_can_be_put_back_without_a_change(api, schedule):
    shown = api.get(path_of(schedule)).json()

    answer = api.put(path_of(schedule), shown, format="json")

    assert answer.status_code == 200
    assert api.get(path_of(schedule)).json() == shown


def test_a_new_time_moves_what_is_armed(api, schedule):
    api.patch(path_of(schedule), {"scheduled_time": "2026-01-16T10:00:00Z"}, format="json")

    armed = ActiveSchedule.objects.get(schedule=schedule)
    assert armed.next_execution == armed.occurrence == FIRST + timedelta(days=1)


def test_a_change_of_words_leaves_what_is_armed_alone(api, schedule):
    before = ActiveSchedule.objects.filter(schedule=schedule).values().get()

    api.patch(path_of(schedule), {"notes": "Changed"}, format="json")

    assert ActiveSchedule.objects.filter(schedule=schedule).values().get() == before


def test_a_paused_schedule_stays_paused_when_its_time_changes(api, schedule):
    api.post(path_of(schedule, "/pause"))

    answer = api.patch(path_of(schedule), {"scheduled_time": "2026-02-01T10:00:00Z"}, format="json")

    assert answer.json()["next_execution"] is None
    armed = ActiveSchedule.objects.get(schedule=schedule)
    assert (armed.status, armed.next_execution) == ("paused", None)
    assert api.post(path_of(schedule, "/resume")).json()["next_execution"] == "2026-02-01T10:00:00Z"


# -- PATCH ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({}, {}),
        ({"description": "After"}, {"description": "After"}),
        ({"notes": None}, {"notes": ""}),
        ({"phone": "+1234567890"}, {"phone": "+1234567890"}),
        ({"repeat_config": {"frequency": "daily"}}, {"repeat_config": DAILY}),
        # The instant stays; the wall clock that repetitions keep is another one.
        ({"timezone": "Asia/Tokyo"}, {"timezone": "Asia/Tokyo"}),
        # A local time is read in the zone that is kept, or in the one sent along.
        ({"scheduled_time": "2026-01-15T09:00:00"}, {"scheduled_time": "2026-01-15T14:00:00Z"}),
        (
            {"scheduled_time": "2026-01-15T09:00:00", "timezone": "Asia/Tokyo"},
            {"scheduled_time": "2026-01-15T00:00:00Z", "timezone": "Asia/Tokyo"},
        ),
        ({"id": "schedule_0", "status": "cancelled", "created_by": "user_0"}, {}),
    ],
)
def test_patch_changes_what_is_sent_and_keeps_the_rest(api, schedule, change, shown):
    before = api.get(path_of(schedule)).json()

    answer = api.patch(path_of(schedule), change, format="json")

    assert answer.status_code == 200
    after = api.get(path_of(schedule)).json()
    expected = before | shown
    expected["next_execution"] = expected["scheduled_time"]
    assert after == expected


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"phone": "12"}, "SCHEDULE_001", "phone"),
        ({"phone": None}, "SCHEDULE_003", "phone"),
        ({"scheduled_time": "2026-01-10T08:00:00Z"}, "SCHEDULE_002", "scheduled_time"),
        ({"timezone": "Mars/Olympus"}, "SCHEDULE_002", "timezone"),
        ({"repeat_config": {"frequency": "x"}}, "SCHEDULE_006", "repeat_config.frequency"),
        (
            {"repeat_config": {"frequency": "daily", "end_date": "2026-01-01"}},
            "SCHEDULE_006",
            "repeat_config.end_date",
        ),
        ({"call_type": "inbound"}, "SCHEDULE_007", "call_type"),
        ({"fone": "+1234567890"}, "SCHEDULE_007", "fone"),
        ({"\ud800": 1}, "SCHEDULE_007", "\\ud800"),
        ([], "SCHEDULE_007", "body"),
    ],
    ids=lambda value: ascii(value)[:40],
)
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_refused_change_changes_nothing(api, schedule, method, change, code, field):
    before = stored(schedule)
    if method == "PUT" and isinstance(change, dict):
        change = {"phone": "+1234567890", "scheduled_time": "2026-01-20T08:00:00Z"} | change

    answer = api.generic(method, path_of(schedule), json.dumps(change), "application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert answer.json()["details"]["field"] == field
    assert stored(schedule) == before


def test_a_change_is_atomic(api, schedule, monkeypatch):
    before = stored(schedule)

    def fail(*_, **__):
        raise OperationalError("gone")

    monkeypatch.setattr(services, "announce", fail)

    answer = api.patch(path_of(schedule), {"scheduled_time": "2026-02-01T10:00:00Z"}, format="json")

    assert (answer.status_code, answer.json()["error_code"]) == (503, "SYSTEM_003")
    assert stored(schedule) == before


def test_the_anchor_of_a_running_series_may_lie_in_the_past(api, schedule):
    set_up(schedule, scheduled_time=NOW - timedelta(days=30, hours=1), repeat_config=DAILY)

    answer = api.patch(path_of(schedule), {"notes": "Changed"}, format="json")

    assert answer.status_code == 200
    schedule.refresh_from_db()
    assert schedule.scheduled_time == NOW - timedelta(days=30, hours=1)


def test_another_rule_of_a_running_series_counts_from_its_anchor(api, schedule):
    set_up(schedule, scheduled_time=NOW - timedelta(days=3, hours=1), repeat_config=DAILY)
    every_second_day = {"repeat_config": {"frequency": "daily", "interval": 2}}

    answer = api.patch(path_of(schedule), every_second_day, format="json")

    assert answer.json()["next_execution"] == "2026-01-11T08:00:00Z"


def test_a_series_cannot_become_one_call_in_the_past(api, schedule):
    set_up(schedule, scheduled_time=NOW - timedelta(days=30), repeat_config=DAILY)
    before = stored(schedule)

    answer = api.patch(path_of(schedule), {"repeat_config": None}, format="json")

    assert (answer.status_code, answer.json()["error_code"]) == (400, "SCHEDULE_002")
    assert stored(schedule) == before


@pytest.mark.parametrize("repeat_config", [None, DAILY | {"count": 1}])
def test_the_words_of_a_call_whose_time_passed_in_a_pause_can_be_changed(
    api, schedule, repeat_config
):
    api.post(path_of(schedule, "/pause"))
    set_up(schedule, scheduled_time=NOW - timedelta(days=2), repeat_config=repeat_config)
    armed = ActiveSchedule.objects.values().get()

    answer = api.patch(path_of(schedule), {"notes": "Changed"}, format="json")

    assert answer.status_code == 200
    schedule.refresh_from_db()
    assert (schedule.notes, schedule.status) == ("Changed", "paused")
    assert ActiveSchedule.objects.values().get() == armed


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"timezone": "Asia/Tokyo"}, "SCHEDULE_006"),
        ({"repeat_config": DAILY | {"count": 2}}, "SCHEDULE_006"),
        ({"scheduled_time": "2026-01-08T10:00:00Z"}, "SCHEDULE_002"),
    ],
)
def test_the_times_of_a_series_that_has_ended_need_a_call_that_is_left(api, schedule, change, code):
    api.post(path_of(schedule, "/pause"))
    set_up(schedule, scheduled_time=NOW - timedelta(days=2), repeat_config=DAILY | {"count": 1})
    before = stored(schedule)

    answer = api.patch(path_of(schedule), change, format="json")

    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert stored(schedule) == before


@pytest.mark.parametrize("status", BEING_PLACED + OVER)
@pytest.mark.parametrize("repeat_config", [None, DAILY | {"count": 2}])
@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("put", {"phone": "+1234567890", "scheduled_time": "2026-02-01T10:00:00Z"}),
        ("patch", {"notes": "Changed"}),
    ],
)
def test_a_schedule_that_is_placed_or_over_cannot_be_changed(
    api, schedule, status, repeat_config, method, body
):
    set_up(
        schedule,
        status=status,
        repeat_config=repeat_config,
        scheduled_time=NOW - timedelta(days=30),
    )
    before = stored(schedule)

    answer = getattr(api, method)(path_of(schedule), body, format="json")

    assert (answer.status_code, answer.json()["error_code"]) == (409, "SCHEDULE_005")
    assert answer.json()["details"]["field"] == "status"
    assert stored(schedule) == before


# -- DELETE --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", EDITABLE + OVER)
def test_a_deleted_schedule_is_gone(api, schedule, status):
    set_up(schedule, status=status)

    answer = api.delete(path_of(schedule))

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "message": "Schedule deleted successfully",
        "schedule_id": schedule.pk,
        "next_execution": None,
    }
    assert api.get(path_of(schedule)).status_code == 404
    assert not ActiveSchedule.objects.exists()


@pytest.mark.parametrize("status", BEING_PLACED)
def test_a_schedule_whose_call_is_being_placed_cannot_be_deleted(api, schedule, status):
    set_up(schedule, status=status)
    before = stored(schedule)

    answer = api.delete(path_of(schedule))

    assert (answer.status_code, answer.json()["error_code"]) == (409, "SCHEDULE_005")
    assert stored(schedule) == before


# -- at once -------------------------------------------------------------------------------------


def test_what_is_armed_follows_the_schedule_though_a_change_was_read_before_another(schedule):
    earlier = CallSchedule.objects.get(pk=schedule.pk)
    later = CallSchedule.objects.get(pk=schedule.pk)
    services.change_schedule(earlier, plan=plan(FIRST + timedelta(days=1)))

    with pytest.raises(ChangedMeanwhile):
        services.change_schedule(later, plan=plan(FIRST))

    schedule.refresh_from_db()
    assert ActiveSchedule.objects.get().next_execution == schedule.scheduled_time


def plan(scheduled_time):
    return make_plan(
        phone="+1234567890",
        scheduled_time=scheduled_time,
        timezone="America/New_York",
        repeat_config=None,
        now=NOW,
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"notes": "First"}, {"description": "Second"}),
        ({"phone": "+15005550001"}, {"scheduled_time": "2026-02-01T10:00:00Z"}),
    ],
)
def test_two_changes_of_different_fields_are_both_kept(
    client_user, schedule, monkeypatch, first, second
):
    """The second one is sent while the first has read the schedule and not yet written it."""
    one, other = clients(client_user, 2)
    make = views.make_plan

    def make_plan_slowly(**asked):
        monkeypatch.setattr(views, "make_plan", make)
        other.patch(path_of(schedule), second, format="json")
        return make(**asked)

    monkeypatch.setattr(views, "make_plan", make_plan_slowly)

    answer = one.patch(path_of(schedule), first, format="json")

    shown = one.get(path_of(schedule)).json()
    assert second.items() <= shown.items()
    assert answer.status_code == 409 or first.items() <= shown.items()


def test_a_schedule_that_vanishes_while_it_is_deleted_is_not_found(api, schedule, monkeypatch):
    delete = services.delete_schedule

    def delete_twice(found):
        CallSchedule.objects.filter(pk=found.pk).delete()
        delete(found)

    monkeypatch.setattr(services, "delete_schedule", delete_twice)

    answer = api.delete(path_of(schedule))

    assert (answer.status_code, answer.json()["error_code"]) == (404, "SCHEDULE_004")


@pytest.mark.django_db(transaction=True)
def test_of_two_puts_at_once_one_stands_whole(client_user):
    schedule = ActiveScheduleFactory(
        schedule__created_by=owner_id(client_user), schedule__scheduled_time=FIRST
    ).schedule
    bodies = [
        {"phone": f"+1500555000{number}", "scheduled_time": f"2026-02-0{number}T10:00:00Z"}
        for number in (1, 2, 3)
    ]

    answers = at_once(
        [
            (client.put, path_of(schedule), body)
            for client, body in zip(clients(client_user, 3), bodies, strict=True)
        ]
    )

    assert {answer.status_code for answer in answers} <= {200, 409}
    schedule.refresh_from_db()
    stands = {(body["phone"], body["scheduled_time"][:10]) for body in bodies}
    assert (schedule.phone, schedule.scheduled_time.date().isoformat()) in stands
    assert ActiveSchedule.objects.get().next_execution == schedule.scheduled_time


@pytest.mark.django_db(transaction=True)
def test_of_two_deletes_at_once_one_finds_nothing(client_user):
    schedule = CallScheduleFactory(created_by=owner_id(client_user))

    answers = at_once(
        [(client.delete, path_of(schedule), None) for client in clients(client_user, 2)]
    )

    assert sorted(answer.status_code for answer in answers) == [200, 404]


def clients(user, number):
    """As many clients of one user, one a thread."""
    made = [APIClient(raise_request_exception=False) for _ in range(number)]
    for client in made:
        client.force_authenticate(user)
    return made


def at_once(requests):
    """The answers of requests that begin together, each in a thread and connection of its own."""
    barrier = threading.Barrier(len(requests))
    answers = []

    def run(send, path, body):
        barrier.wait()
        answers.append(send(path, body, format="json"))
        connection.close()

    threads = [threading.Thread(target=run, args=request) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_wall_time_that_the_clock_skips_is_kept_by_the_repetition(api, schedule):
    changed = {"scheduled_time": "2026-03-08T02:30:00", "repeat_config": {"frequency": "daily"}}
    assert api.patch(path_of(schedule), changed, format="json").status_code == 200

    assert api.patch(path_of(schedule), {"notes": "x"}, format="json").status_code == 200
    shown = api.get(path_of(schedule)).json()
    again = {"phone": schedule.phone, "timezone": "America/New_York", **changed}
    again["scheduled_time"] = shown["scheduled_time"]
    assert api.put(path_of(schedule), again, format="json").status_code == 200

    schedule.refresh_from_db()
    assert shown["scheduled_time"] == "2026-03-08T07:30:00Z"
    assert schedule.wall_time == "2026-03-08T02:30:00"
    following = arming.upcoming(schedule, after=schedule.scheduled_time)
    assert following == datetime(2026, 3, 9, 6, 30, tzinfo=UTC)


def test_a_new_time_takes_the_place_of_one_that_the_clock_skips(api, schedule):
    first = {"scheduled_time": "2026-03-08T02:30:00", "repeat_config": {"frequency": "daily"}}
    api.patch(path_of(schedule), first, format="json")

    api.patch(path_of(schedule), {"scheduled_time": "2026-03-08T03:30:00"}, format="json")

    schedule.refresh_from_db()
    assert schedule.wall_time == ""
    following = arming.upcoming(schedule, after=schedule.scheduled_time)
    assert following == datetime(2026, 3, 9, 7, 30, tzinfo=UTC)
