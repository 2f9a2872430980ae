"""While the database is away one request at a time tries it; the others are answered at once."""

import logging
import threading

import pytest
from django.db import OperationalError, connection

from polaris import error_format, outage
from polaris.outage import Outage

GONE = OperationalError("connection refused\nIs the server running on that host?")


@pytest.fixture
def server(monkeypatch):
    """A database that can be taken away: the connection as `outage` sees it."""

    class Server:
        is_there = True
        in_atomic_block = False
        connection = None
        attempts = 0

        def is_usable(self):
            return self.is_there

        def close(self):
            self.connection = None

        def ensure_connection(self):
            self.attempts += 1
            if not self.is_there:
                raise GONE
            self.connection = self

    server = Server()
    monkeypatch.setattr(outage, "connection", server)
    return server


def test_nothing_is_blocked_or_tried_while_the_database_is_there(server):
    assert not Outage().blocks()
    assert server.attempts == 0


def test_a_busy_database_is_not_away(server):
    server.ensure_connection()
    noted = Outage()

    noted.note(OperationalError("database is locked"))

    assert not noted.blocks()
    assert server.attempts == 1


def test_requests_are_blocked_until_a_new_connection_is_made(server, caplog):
    noted = Outage()
    server.is_there = False
    noted.note(GONE)

    blocked = [noted.blocks() for _ in range(3)]
    server.is_there = True
    freed = [noted.blocks() for _ in range(3)]

    assert (blocked, freed) == ([True] * 3, [False] * 3)
    assert server.attempts == 4
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == [
        "the database is away: connection refused",
        "the database is back",
    ]


def test_while_one_request_waits_for_the_database_no_other_does(server):
    noted = Outage()
    server.is_there = False
    noted.note(GONE)
    hangs, goes_on = threading.Event(), threading.Event()

    def hang():
        hangs.set()
        goes_on.wait(10)

    server.ensure_connection = hang
    first = threading.Thread(target=noted.blocks)
    first.start()
    assert hangs.wait(10)

    assert noted.blocks()

    goes_on.set()
    first.join()
    assert not noted.blocks()


@pytest.fixture
def away(monkeypatch):
    """The database has gone, and does not come back."""

    class Away:
        def blocks(self):
            return True

    monkeypatch.setattr(error_format, "outage", Away())


@pytest.mark.parametrize(
    "path", ["/schedule/", "/auth/token", "/webhook/call-status", "/nowhere", "/"]
)
def test_what_is_blocked_has_the_error_format(client, away, path):
    answer = client.post(path)

    assert (answer.status_code, answer.json()["error_code"]) == (503, "SYSTEM_003")
    assert answer.headers["Retry-After"] == "5"


def test_the_admin_has_a_page_for_it(client, away):
    answer = client.get("/admin/")

    assert answer.status_code == 503
    assert "The database is away" in answer.content.decode()


@pytest.mark.parametrize("path", ["/api/docs", "/api/schema", "/static/nothing.js"])
def test_what_needs_no_database_is_not_blocked(client, away, path):
    assert client.get(path).status_code in {200, 404}


def test_what_happens_in_a_transaction_is_left_to_it(db):
    noted = Outage()
    assert connection.in_atomic_block

    noted.note(GONE)

    assert not noted.blocks()
