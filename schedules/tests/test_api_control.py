"""POST /schedule/{id}/pause, /resume and /cancel."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import OperationalError, connection
from rest_framework.test import APIClient

from polaris.access import owner_id
from schedules import services
from schedules.models import ActiveSchedule, CallSchedule
from schedules.states import ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory

NOW = datetime(2026, 1, 10, 9, tzinfo=UTC)
FIRST = datetime(2026, 1, 15, 10, tzinfo=UTC)
DAILY = {"enabled": True, "frequency": "daily", "interval": 1}

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_winter")]


@pytest.fixture
def _winter():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def arm(client_user):
    """Makes an armed schedule of the client's."""

    def make(**fields):
        fields = {"created_by": owner_id(client_user), "scheduled_time": FIRST} | fields
        return ActiveScheduleFactory(**{f"schedule__{k}": v for k, v in fields.items()}).schedule

    return make


@pytest.mark.parametrize(
    ("action", "before", "after", "done", "following"),
    [
        ("pause", "scheduled", "paused", "paused", None),
        ("resume", "paused", "scheduled", "resumed", "2026-01-15T10:00:00Z"),
        ("cancel", "scheduled", "cancelled", "cancelled", None),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_an_action_answers_as_the_contract_says(
    api, arm, action, before, after, done, following, slash
):
    schedule = arm(status=before)

    answer = api.post(f"/schedule/{schedule.pk}/{action}{slash}")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "message": f"Schedule {done} successfully",
        "schedule_id": schedule.pk,
        "next_execution": following,
    }
    schedule.refresh_from_db()
    assert schedule.status == after


ALLOWED = {
    "pause": {"scheduled": "paused", "pending": "paused"},
    "resume": {"paused": "scheduled"},
    "cancel": dict.fromkeys(("created", "scheduled", "pending", "running", "paused"), "cancelled"),
}


@pytest.mark.parametrize("action", ALLOWED)
@pytest.mark.parametrize("status", ScheduleStatus.values)
def test_what_each_state_allows(api, arm, action, status):
    schedule = arm(status=status)
    target = ALLOWED[action].get(status)

    answer = api.post(f"/schedule/{schedule.pk}/{action}")

    schedule.refresh_from_db()
    assert schedule.status == (target or status)
    assert answer.status_code == (200 if target else 409)
    if not target:
        assert answer.json()["error_code"] == "SCHEDULE_005"
        assert answer.json()["details"]["field"] == "status"
        assert ActiveSchedule.objects.get().next_execution == FIRST


def test_a_running_series_can_be_paused(api, arm):
    schedule = arm(status="running", repeat_config=DAILY)

    answer = api.post(f"/schedule/{schedule.pk}/pause")

    assert answer.status_code == 200


def test_a_pause_keeps_what_is_armed_out_of_reach(api, arm):
    schedule = arm()

    api.post(f"/schedule/{schedule.pk}/pause")

    armed = ActiveSchedule.objects.get()
    assert (armed.status, armed.next_execution, armed.occurrence) == ("paused", None, FIRST)


def test_a_cancelled_schedule_has_nothing_armed(api, arm):
    schedule = arm()

    api.post(f"/schedule/{schedule.pk}/cancel")

    assert not ActiveSchedule.objects.exists()


def test_what_fell_into_a_pause_of_a_series_is_passed_over(api, arm):
    schedule = arm(status="paused", repeat_config=DAILY, scheduled_time=NOW - timedelta(days=3))

    answer = api.post(f"/schedule/{schedule.pk}/resume")

    assert answer.json()["next_execution"] == "2026-01-11T09:00:00Z"


def test_a_call_whose_time_passed_in_a_pause_is_made_within_the_grace_time(api, arm):
    schedule = arm(status="paused", scheduled_time=NOW - timedelta(seconds=299))

    answer = api.post(f"/schedule/{schedule.pk}/resume")

    assert answer.json()["next_execution"] == "2026-01-10T08:55:01Z"


def test_a_call_whose_time_passed_in_a_pause_is_not_made_late(api, arm):
    schedule = arm(status="paused", scheduled_time=NOW - timedelta(seconds=301))

    answer = api.post(f"/schedule/{schedule.pk}/resume")

    assert (answer.status_code, answer.json()["error_code"]) == (409, "SCHEDULE_005")
    assert "new scheduled_time" in answer.json()["details"]["issue"]
    schedule.refresh_from_db()
    assert schedule.status == "paused"


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff"], ids=ascii)
def test_a_body_of_resume_is_of_no_consequence(api, arm, body):
    schedule = arm(status="paused")

    answer = api.generic("POST", f"/schedule/{schedule.pk}/resume", body, "application/json")

    assert answer.status_code == 200


@pytest.mark.parametrize("action", ["pause", "cancel"])
def test_an_action_without_a_body_needs_no_content_type(api, arm, action):
    schedule = arm()

    answer = api.generic("POST", f"/schedule/{schedule.pk}/{action}", b"", "")

    assert answer.status_code == 200


@pytest.mark.parametrize("action", ["pause", "cancel"])
@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b'{"hangup": true}', "SCHEDULE_007", "hangup"),
        (b'{"hang_up": "yes"}', "SCHEDULE_007", "hang_up"),
        (b'{"hang_up": 1}', "SCHEDULE_007", "hang_up"),
        (b'{"hang_up": null}', "SCHEDULE_003", "hang_up"),
        (b"[1]", "SCHEDULE_007", "body"),
        (b"null", "SCHEDULE_003", "body"),
        (b"{", "REQUEST_001", "body"),
        (b"\xff", "REQUEST_001", "body"),
    ],
    ids=ascii,
)
def test_a_body_that_is_not_understood_is_refused(api, arm, action, body, code, field):
    schedule = arm()

    answer = api.generic("POST", f"/schedule/{schedule.pk}/{action}", body, "application/json")

    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert answer.json()["details"]["field"] == field
    schedule.refresh_from_db()
    assert schedule.status == "scheduled"


@pytest.mark.parametrize("action", ALLOWED)
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_an_action_is_a_post(api, arm, action, method):
    schedule = arm()

    answer = getattr(api, method)(f"/schedule/{schedule.pk}/{action}")

    assert (answer.status_code, answer.json()["error_code"]) == (405, "REQUEST_003")
    assert answer.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("action", ALLOWED)
def test_an_action_on_nothing_is_not_found(api, action):
    answer = api.post(f"/schedule/schedule_0/{action}")

    assert (answer.status_code, answer.json()["error_code"]) == (404, "SCHEDULE_004")
    assert answer.json()["details"]["field"] == "schedule_id"


def test_there_is_no_other_action(api, arm):
    answer = api.post(f"/schedule/{arm().pk}/explode")

    assert (answer.status_code, answer.json()["error_code"]) == (404, "REQUEST_002")


@pytest.mark.parametrize("action", ALLOWED)
def test_an_action_is_atomic(api, arm, action, monkeypatch):
    schedule = arm(status="paused" if action == "resume" else "scheduled")

    def fail(*_, **__):
        raise OperationalError("gone")

    monkeypatch.setattr(services, "announce", fail)
    before = rows()

    answer = api.post(f"/schedule/{schedule.pk}/{action}")

    assert (answer.status_code, answer.json()["error_code"]) == (503, "SYSTEM_003")
    assert rows() == before


def rows():
    """All there is."""
    return [*CallSchedule.objects.values(), *ActiveSchedule.objects.values()]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["pause", "resume"])
def test_whatever_comes_at_once_with_a_cancellation_the_schedule_ends_cancelled(
    client_user, arm, first
):
    schedule = arm(status="scheduled" if first == "pause" else "paused")

    answers = at_once(
        client_user, [f"/schedule/{schedule.pk}/{name}" for name in (first, "cancel")]
    )

    schedule.refresh_from_db()
    assert schedule.status == "cancelled"
    assert not ActiveSchedule.objects.exists()
    assert answers["cancel"] == 200
    assert answers[first] in {200, 409}


@pytest.mark.django_db(transaction=True)
def test_of_two_pauses_at_once_one_is_told_that_it_is_paused_already(client_user, arm):
    schedule = arm()

    answers = at_once(client_user, [f"/schedule/{schedule.pk}/pause{slash}" for slash in ("", "/")])

    assert sorted(answers.values()) == [200, 409]
    schedule.refresh_from_db()
    assert schedule.status == "paused"


def at_once(user, paths):
    """The statuses of posts that begin together, by the last word of the path."""
    barrier = threading.Barrier(len(paths))
    statuses = {}

    def run(path):
        client = APIClient(raise_request_exception=False)
        client.force_authenticate(user)
        barrier.wait()
        statuses[path.rpartition("/")[2]] = client.post(path).status_code
        connection.close()

    threads = [threading.Thread(target=run, args=[path]) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses
