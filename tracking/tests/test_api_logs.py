"""GET /schedule/tracking/logs and GET /schedule/tracking/logs/{id}."""

from datetime import UTC, datetime, timedelta

import pytest

from polaris.access import owner_id
from schedules.tests.factories import CallScheduleFactory
from tracking.states import CallStatus
from tracking.tests.factories import CallLogFactory

LOGS = "/schedule/tracking/logs"
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def make_log(client_user):
    """Makes a log of the client's; `notes` is how the tests call it."""

    def make(notes="", **fields):
        return CallLogFactory(
            **{"created_by": owner_id(client_user), "timestamp": NOON, "notes": notes} | fields
        )

    return make


def names(answer):
    assert answer.status_code == 200, answer.content
    return [row["notes"] for row in answer.json()["results"]]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_log_is_shown_with_every_field_of_the_contract(api, make_log, slash):
    log = make_log(
        status="completed",
        phone="+15005550006",
        occurrence=NOON - timedelta(minutes=5),
        due_at=NOON - timedelta(seconds=1.5),
        attention="Look at it.",
        start_time=NOON + timedelta(seconds=8),
        end_time=NOON + timedelta(seconds=188),
        duration=180,
        metadata={"origin": "rule"},
    )

    shown = api.get(f"{LOGS}/{log.pk}{slash}").json()

    assert shown.pop("last_updated")
    assert shown == {
        "id": log.pk,
        "schedule_id": log.schedule_id,
        "created_by": log.created_by,
        "user_profile_id": "",
        "agent_instance_id": "",
        "call_id": log.call_id,
        "status": "completed",
        "call_type": "outbound",
        "phone": "+15005550006",
        "occurrence": "2026-01-15T11:55:00Z",
        "attempt": 1,
        "due_at": "2026-01-15T11:59:58.500000Z",
        "timestamp": "2026-01-15T12:00:00Z",
        "lateness": 1.5,
        "start_time": "2026-01-15T12:00:08Z",
        "end_time": "2026-01-15T12:03:08Z",
        "duration": 180,
        "error_code": "",
        "error_message": "",
        "attention": "Look at it.",
        "notes": "",
        "metadata": {"origin": "rule"},
    }


def test_a_log_of_a_call_that_no_schedule_asked_for_is_shown_too(api, make_log):
    log = make_log(schedule=None, occurrence=None, phone="+15005550007")

    shown = api.get(f"{LOGS}/{log.pk}").json()

    assert (shown["schedule_id"], shown["occurrence"], shown["lateness"]) == (None, None, None)


@pytest.mark.parametrize("name", ["nothing", "x" * 3000])
def test_a_log_that_does_not_exist_is_not_found(api, name):
    answer = api.get(f"{LOGS}/{name}")

    assert (answer.status_code, answer.json()["error_code"]) == (404, "TRACKING_001")
    assert answer.json()["details"]["field"] == "log_id"


@pytest.mark.parametrize("path", ["%00", "a%2Fb", "%F0%9F%98%80", "%ff", "a/b"])
def test_a_path_that_can_hold_no_log_id_is_not_found(api, path):
    answer = api.get(f"{LOGS}/{path}")

    assert (answer.status_code, answer.json()["error_code"]) == (404, "REQUEST_002")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "cba"),
        ("user_profile_id=profile_1", "a"),
        ("user_profile_id=profile_2", ""),
        ("agent_instance_id=agent_1", "b"),
        ("status=completed", "a"),
        ("status=no_answer", "b"),
        ("status=busy", ""),
        ("start_date=2026-01-15T12:00:00Z", "cba"),
        ("start_date=2026-01-15T12:00:00.001Z", "cb"),
        ("start_date=2026-01-16", "cb"),
        ("end_date=2026-01-16", "ba"),
        ("end_date=2026-01-16T11:59:59.999Z", "a"),
        ("start_date=2026-01-16&end_date=2026-01-16", "b"),
        ("start_date=2026-01-16T14:00:00%2B02:00&end_date=2026-01-16T14:00:00%2B02:00", "b"),
        ("limit=2", "cb"),
        ("limit=2&offset=2", "a"),
        ("offset=3", ""),
        ("ordering=timestamp", "abc"),
        ("ordering=duration", "abc"),
        ("ordering=-duration", "cba"),
        ("status=completed&end_date=2026-01-14", ""),
    ],
)
def test_the_contracts_parameters_narrow_the_list(api, make_log, query, found):
    make_log("a", user_profile_id="profile_1", status="completed", duration=1)
    make_log(
        "b",
        agent_instance_id="agent_1",
        status="no_answer",
        duration=2,
        timestamp=NOON + timedelta(days=1),
    )
    make_log("c", timestamp=NOON + timedelta(days=2), duration=3)

    answer = api.get(f"{LOGS}?{query}")

    assert "".join(names(answer)) == found


def test_the_logs_of_one_schedule_can_be_asked_for(api, make_log):
    log = make_log("wanted")
    make_log("other")

    assert names(api.get(f"{LOGS}?schedule_id={log.schedule_id}")) == ["wanted"]


@pytest.mark.parametrize("status", CallStatus.values)
def test_every_status_can_be_asked_for(api, make_log, status):
    make_log(status, status=status)

    assert names(api.get(f"{LOGS}?status={status}")) == [status]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=nonsense", "status"),
        ("start_date=x", "start_date"),
        ("start_date=2026-02-30", "start_date"),
        ("end_date=2026-01-15T10:00:00%2B24:00", "end_date"),
        ("start_date=2026-01-16&end_date=2026-01-15", "end_date"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=ten", "limit"),
        ("offset=-1", "offset"),
        ("ordering=phone", "ordering"),
        ("call_type=outbound", "call_type"),
        ("from=2026-01-15", "from"),
        ("user_profile_id=a&user_profile_id=b", "user_profile_id"),
        ("user_profile_id=%00", "user_profile_id"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(api, query, field):
    answer = api.get(f"{LOGS}?{query}")

    assert (answer.status_code, answer.json()["error_code"]) == (400, "REQUEST_007")
    assert answer.json()["details"]["field"] == field


def test_pages_of_calls_made_at_the_same_moment_hold_every_one_once(api, make_log):
    made = {make_log(str(number)).notes for number in range(5)}

    pages = [names(api.get(f"{LOGS}?limit=2&offset={offset}")) for offset in (0, 2, 4)]

    assert sorted(name for page in pages for name in page) == sorted(made)


@pytest.mark.parametrize("rows", [1, 20])
def test_a_list_takes_two_queries_whatever_its_length(
    api, make_log, rows, django_assert_num_queries
):
    for _ in range(rows):
        make_log()

    with django_assert_num_queries(2):
        answer = api.get(LOGS)

    assert answer.json()["count"] == rows


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("what", ["", "/one"])
def test_logs_are_read_and_never_written(api, make_log, method, what):
    make_log(id="one")

    answer = getattr(api, method)(LOGS + what)

    assert (answer.status_code, answer.json()["error_code"]) == (405, "REQUEST_003")
    assert answer.headers["Allow"] == "GET, HEAD, OPTIONS"


def test_the_logs_of_a_deleted_schedule_stay(api, client_user):
    schedule = CallScheduleFactory(created_by=owner_id(client_user))
    log = CallLogFactory(schedule=schedule, status=CallStatus.COMPLETED)

    assert api.delete(f"/schedule/{schedule.pk}").status_code == 200

    shown = api.get(f"/schedule/tracking/logs/{log.pk}").json()
    assert shown["schedule_id"] == schedule.pk
    assert shown["status"] == "completed"
