"""GET /schedule/{id}/history: who did what to a schedule and its calls."""

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient

from polaris.access import owner_id
from polaris.audit.recording import Act, record
from polaris.tests.accounts import signed_in
from schedules.models import CallSchedule
from schedules.tests.factories import ActiveScheduleFactory

BODY = {"phone": "+15005550006", "scheduled_time": "2099-01-02T10:00:00Z", "description": "Osei"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def schedule(api) -> str:
    """One of the client's, made by the API."""
    return api.post("/schedule/", BODY, "json").json()["schedule_id"]


def verbs(answer) -> list[str]:
    return [entry["verb"] for entry in answer.json()["results"]]


@pytest.mark.parametrize("slash", ["", "/"])
def test_it_tells_the_latest_first(api, schedule, slash):
    api.post(f"/schedule/{schedule}/pause", headers={"X-Request-ID": "mine"})

    answer = api.get(f"/schedule/{schedule}/history{slash}")

    assert answer.status_code == 200
    assert answer.json()["count"] == 2
    assert verbs(answer) == ["schedule.pause", "schedule.create"]
    paused = answer.json()["results"][0]
    assert paused["changes"] == {"status": ["scheduled", "paused"]}
    assert paused["request_id"] == "mine"
    assert paused["happened_at"].endswith("Z")
    assert (paused["object_kind"], paused["object_id"]) == ("schedule", schedule)


def test_it_names_who_acted_but_not_their_address_nor_anything_of_the_person(
    api, schedule, client_user
):
    answer = api.get(f"/schedule/{schedule}/history")

    (created,) = answer.json()["results"]
    assert created["actor"] == owner_id(client_user)
    assert set(created) == {
        "id",
        "happened_at",
        "actor",
        "agent_instance_id",
        "verb",
        "object_kind",
        "object_id",
        "changes",
        "reason",
        "request_id",
    }
    assert BODY["phone"] not in str(created)
    assert "Osei" not in str(created)


def test_it_holds_its_calls_and_no_other_schedules(api, schedule):
    record(
        Act("call.placed", "call", "log_1", schedule), Act("call.placed", "call", "log_2", "other")
    )

    assert verbs(api.get(f"/schedule/{schedule}/history")) == ["call.placed", "schedule.create"]


def test_it_comes_in_pages(api, schedule):
    record(*(Act("call.placed", "call", f"log_{n}", schedule) for n in range(5)))

    answer = api.get(f"/schedule/{schedule}/history?limit=2&offset=2").json()

    assert [entry["object_id"] for entry in answer["results"]] == ["log_2", "log_1"]
    assert answer["count"] == 6
    assert "offset=4" in answer["next"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("verb=call.placed", ["call.placed"]),
        ("actor=carrier", []),
        ("verb=schedule.create&actor=nobody", []),
    ],
)
def test_it_can_be_narrowed(api, schedule, query, found):
    record(Act("call.placed", "call", "log_1", schedule))

    assert verbs(api.get(f"/schedule/{schedule}/history?{query}")) == found


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("offset=-1", "offset"), ("who=me", "who"), ("ordering=id", "ordering")],
)
def test_what_it_does_not_understand_is_refused(api, schedule, query, field):
    answer = api.get(f"/schedule/{schedule}/history?{query}")

    assert (answer.status_code, answer.json()["details"]["field"]) == (400, field)


class TestWhoMaySeeIt:
    def test_nobody_without_an_account(self, schedule):
        assert APIClient().get(f"/schedule/{schedule}/history").status_code == 401

    def test_no_other_client(self, schedule):
        other = APIClient()
        other.force_authenticate(User.objects.create_user("other"))

        answer = other.get(f"/schedule/{schedule}/history")

        assert (answer.status_code, answer.json()["error_code"]) == (404, "SCHEDULE_004")

    def test_staff_who_may_view_schedules(self, schedule):
        staff: Client = signed_in("view_callschedule")

        assert staff.get(f"/schedule/{schedule}/history").status_code == 200

    def test_nobody_where_the_schedule_is_deleted(self, api, schedule):
        api.delete(f"/schedule/{schedule}")

        assert not CallSchedule.objects.exists()
        assert api.get(f"/schedule/{schedule}/history").status_code == 404


def test_it_asks_the_database_as_often_for_many_as_for_few(
    api, client_user, django_assert_num_queries
):
    schedule = ActiveScheduleFactory(schedule__created_by=owner_id(client_user)).schedule
    record(*(Act("call.placed", "call", f"log_{n}", schedule.pk) for n in range(30)))

    with django_assert_num_queries(3):
        answer = api.get(f"/schedule/{schedule.pk}/history")

    assert answer.json()["count"] == 30
