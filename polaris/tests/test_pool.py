"""A web process whose threads share few connections to PostgreSQL, over real HTTP."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from polaris.tests.faults.engine import moment, number
from polaris.tests.stack import PATIENCE, wait_until
from schedules.models import CallSchedule

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has a pool"),
]

MOST = 3


@pytest.fixture
def stack(stack):
    stack.environment |= {"DATABASE_POOL": str(MOST), "PGAPPNAME": "the web process"}
    return stack


def connections_of_web():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity "
            "WHERE datname = current_database() AND application_name = 'the web process'"
        )
        return {pid for (pid,) in cursor.fetchall()}


def create(client):
    body = {"phone": number(), "scheduled_time": moment(3600).isoformat()}
    return client.post("/schedule/", body).status_code


def test_many_requests_share_few_connections(client_of_web):
    with ThreadPoolExecutor(16) as clients:
        answers = [clients.submit(create, client_of_web) for _ in range(80)]
        wait_until(connections_of_web, what="it works")
        most = max(len(connections_of_web()) for _ in range(20))

    assert [answer.result(PATIENCE) for answer in answers] == [200] * 80
    assert most <= MOST
    assert CallSchedule.objects.count() == 80


def test_connections_that_were_cut_are_not_handed_out(client_of_web):
    assert create(client_of_web) == 200
    cut = connections_of_web()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [list(cut)])
    wait_until(lambda: not connections_of_web() & cut, what="they are cut")

    assert [create(client_of_web) for _ in range(5)] == [200] * 5


def test_calls_are_dialled_and_followed_as_ever(stack, client_of_web):
    stack.start_runner()
    body = {"phone": number(), "scheduled_time": moment(1).isoformat()}
    schedule_id = client_of_web.post("/schedule/", body).json()["schedule_id"]

    done = CallSchedule.objects.filter(pk=schedule_id, status="completed")
    wait_until(done.exists, what="it is completed by its webhooks")
