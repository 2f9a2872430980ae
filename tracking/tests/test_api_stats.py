"""GET /schedule/tracking/stats: the contract's seven figures."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from polaris.access import owner_id
from tracking.models import CallLog
from tracking.states import FINAL, UNSETTLED, CallStatus
from tracking.tests.factories import CallLogFactory

STATS = "/schedule/tracking/stats"
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
NOTHING = {
    "total_calls": 0,
    "completed_calls": 0,
    "failed_calls": 0,
    "pending_calls": 0,
    "success_rate": 0.0,
    "average_duration": 0,
    "total_duration": 0,
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def make_logs(client_user):
    """Makes as many logs of the client's, all alike."""

    def make(number, **fields):
        made = {"schedule": None, "occurrence": None, "timestamp": NOON}
        made |= {"created_by": owner_id(client_user)} | fields
        CallLog.objects.bulk_create(CallLogFactory.build_batch(number, **made))

    return make


@pytest.mark.parametrize("slash", ["", "/"])
def test_without_a_call_every_figure_is_nought(api, slash):
    answer = api.get(STATS + slash)

    assert answer.status_code == 200
    assert answer.json() == NOTHING


def test_the_contracts_example(api, make_logs):
    make_logs(120, status="completed", duration=180)
    make_logs(20, status="failed")
    make_logs(10, status="queued")

    assert api.get(STATS).json() == {
        "total_calls": 150,
        "completed_calls": 120,
        "failed_calls": 20,
        "pending_calls": 10,
        "success_rate": 80.0,
        "average_duration": 180,
        "total_duration": 21600,
    }


@pytest.mark.parametrize(
    ("status", "figure"),
    [
        ("pending", "pending_calls"),
        ("queued", "pending_calls"),
        ("initiated", "pending_calls"),
        ("ringing", "pending_calls"),
        ("in_progress", "pending_calls"),
        ("unknown", "pending_calls"),
        ("deferred", "pending_calls"),
        ("completed", "completed_calls"),
        ("busy", "failed_calls"),
        ("no_answer", "failed_calls"),
        ("failed", "failed_calls"),
        ("cancelled", "failed_calls"),
        ("missed", "failed_calls"),
    ],
)
def test_a_call_is_counted_once_by_its_state(api, make_logs, status, figure):
    make_logs(3, status=status)

    figures = api.get(STATS).json()

    counted = {name: figures[f"{name}_calls"] for name in ("completed", "failed", "pending")}
    assert {name: number for name, number in counted.items() if number} == {
        figure.removesuffix("_calls"): 3
    }
    assert figures["total_calls"] == 3


def test_every_state_is_counted():
    assert set(CallStatus) == FINAL | UNSETTLED


@pytest.mark.parametrize(
    ("completed", "failed", "rate"),
    [(0, 1, 0.0), (1, 0, 100.0), (1, 2, 33.3), (2, 1, 66.7), (1, 1999, 0.1), (1, 2999, 0.0)],
)
def test_the_rate_is_in_per_cent_of_all_calls_with_one_decimal(
    api, make_logs, completed, failed, rate
):
    make_logs(completed, status="completed")
    make_logs(failed, status="failed")

    assert api.get(STATS).json()["success_rate"] == rate


def test_durations_are_whole_seconds_of_completed_calls(api, make_logs):
    make_logs(1, status="completed", duration=10)
    make_logs(2, status="completed", duration=15)
    make_logs(1, status="completed", duration=None)
    make_logs(1, status="in_progress", duration=1000)
    make_logs(1, status="failed", duration=1000)

    figures = api.get(STATS).json()

    assert (figures["total_duration"], figures["average_duration"]) == (40, 10)
    assert isinstance(figures["average_duration"], int)


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ("", 6),
        ("user_profile_id=profile_1", 1),
        ("agent_instance_id=agent_1", 2),
        ("schedule_id=nothing", 0),
        ("status=completed", 3),
        ("start_date=2026-01-16", 3),
        ("end_date=2026-01-15", 3),
        ("start_date=2026-01-16&end_date=2026-01-16", 3),
        ("start_date=2026-01-15T12:00:00Z&end_date=2026-01-15T12:00:00Z", 3),
        ("status=completed&user_profile_id=profile_1", 1),
    ],
)
def test_the_figures_are_those_of_the_logs_that_the_same_filters_list(api, make_logs, query, total):
    make_logs(1, user_profile_id="profile_1", status="completed", duration=7)
    make_logs(2, agent_instance_id="agent_1", status="completed", duration=8)
    make_logs(3, timestamp=NOON + timedelta(days=1), status="failed")

    figures = api.get(f"{STATS}?{query}").json()

    listed = api.get(f"/schedule/tracking/logs?{query}").json()
    assert figures["total_calls"] == listed["count"] == total
    talked = [row["duration"] for row in listed["results"] if row["status"] == "completed"]
    assert figures["total_duration"] == sum(talked)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=10", "limit"),
        ("offset=10", "offset"),
        ("ordering=timestamp", "ordering"),
        ("status=nonsense", "status"),
        ("start_date=yesterday", "start_date"),
        ("start_date=2026-01-16&end_date=2026-01-15", "end_date"),
        ("status=failed&status=busy", "status"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(api, query, field):
    answer = api.get(f"{STATS}?{query}")

    assert (answer.status_code, answer.json()["error_code"]) == (400, "REQUEST_007")
    assert answer.json()["details"]["field"] == field


@pytest.mark.parametrize("rows", [1, 500])
def test_the_database_computes_in_one_query(api, make_logs, rows, django_assert_num_queries):
    make_logs(rows)

    with django_assert_num_queries(1) as asked:
        api.get(STATS)

    assert "SUM(" in asked.captured_queries[0]["sql"].upper()


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="others plan by what the table holds")
@pytest.mark.parametrize("by", ["client", "staff"])
@pytest.mark.parametrize(
    "query",
    [
        "",
        "status=completed",
        "start_date=2026-01-16",
        "start_date=2026-01-16&end_date=2026-01-17",
        "status=busy&start_date=2026-01-16",
        "agent_instance_id=agent_1",
        "agent_instance_id=agent_1&status=completed",
        "agent_instance_id=agent_1&start_date=2026-01-16",
        "user_profile_id=profile_1",
        "user_profile_id=profile_1&end_date=2026-01-16",
    ],
)
def test_an_index_holds_all_that_the_figures_need(
    api, operator, make_logs, query, by, django_assert_num_queries
):
    make_logs(9, status="completed", duration=7)
    if by == "staff":
        api.force_authenticate(operator)

    with django_assert_num_queries(1) as asked:
        api.get(f"{STATS}?{query}")

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {asked.captured_queries[0]['sql']}")
        (step,) = cursor.fetchall()
    assert "USING COVERING INDEX" in step[-1]


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_figures_are_read_and_never_written(api, method):
    answer = getattr(api, method)(STATS)

    assert (answer.status_code, answer.json()["error_code"]) == (405, "REQUEST_003")
