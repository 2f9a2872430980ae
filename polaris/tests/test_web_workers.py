"""The web process works on requests in a fixed number of threads, which keep their connections."""

import asyncio
import threading
import time

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, connection, connections, reset_queries
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path

from polaris import database
from polaris.web_workers import WebWorkers

only_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="a connection of SQLite is not checked"
)

seen: list[tuple[str, object]] = []
inside: list[int] = []
_lock = threading.Lock()


def plain(request):
    with _lock:
        inside.append(1)
        seen.append((threading.current_thread().name, len(inside)))
    time.sleep(0.02)
    with _lock:
        inside.pop()
    return HttpResponse("plain")


def asking(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    seen.append((threading.current_thread().name, id(connection.connection)))
    return HttpResponse("asked")


async def flowing(request):
    seen.append((threading.current_thread().name, None))

    async def parts():
        for part in ("one ", "two"):
            await asyncio.sleep(0)
            yield part

    return StreamingHttpResponse(parts())


urlpatterns = [path("plain", plain), path("asking", asking), path("flowing", flowing)]


@pytest.fixture
def ask(settings, monkeypatch):
    """Sends as many requests at once as paths are given; returns (status, body) of each."""
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["polaris.error_format.ErrorFormatMiddleware"]
    for alias in connections:
        monkeypatch.setitem(connections.settings[alias], "CONN_MAX_AGE", 0)
    seen.clear()
    workers = WebWorkers(2)
    yield lambda *paths: asyncio.run(_ask(workers, paths))
    _close_connections(workers.threads)
    for receiver in (reset_queries, close_old_connections):
        request_started.connect(receiver)


def _close_connections(threads):
    """Of both threads: each waits for the other, so that neither does it twice."""
    both = threading.Barrier(2)

    def close():
        connections.close_all()
        both.wait(10)

    for closed in [threads.submit(close) for _ in range(2)]:
        closed.result()
    threads.shutdown()


async def _ask(application, paths):
    return await asyncio.gather(*(_ask_one(application, path) for path in paths))


async def _ask_one(application, path):
    sent = []
    asked = iter([{"type": "http.request", "body": b""}])

    async def receive():
        message = next(asked, None)
        return message or await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await application(scope | {"server": ("localhost", 80)}, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_no_more_requests_are_worked_on_at_once_than_there_are_threads(ask):
    answers = ask(*["/plain"] * 12)

    assert answers == [(200, b"plain")] * 12
    assert len({thread for thread, _ in seen}) == 2
    assert max(number for _, number in seen) == 2


@pytest.mark.django_db(transaction=True)
def test_a_thread_keeps_its_connection(ask):
    for _ in range(5):
        ask("/asking", "/asking", "/asking", "/asking")

    assert len(set(seen)) == len({thread for thread, _ in seen}) <= 2


@only_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_has_just_ended_is_renewed_for_the_next_request(ask):
    for _ in range(3):
        assert ask(*["/asking"] * 4) == [(200, b"asked")] * 4
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    assert ask(*["/asking"] * 4) == [(200, b"asked")] * 4


@only_postgresql
@pytest.mark.django_db(transaction=True)
def test_a_connection_that_was_just_in_use_is_not_checked_before_each_request(ask, monkeypatch):
    checks = []
    wrapper = type(connections["default"])
    is_usable = wrapper.is_usable
    monkeypatch.setattr(wrapper, "is_usable", lambda each: checks.append(1) or is_usable(each))
    monkeypatch.setattr(database, "_CHECKED_SECONDS", 3600)

    for _ in range(5):
        ask("/asking", "/asking", "/asking", "/asking")

    assert not checks


def test_an_asynchronous_view_runs_in_the_event_loop_and_can_stream(ask):
    assert ask("/flowing") == [(200, b"one two")]
    assert seen == [(threading.current_thread().name, None)]


def test_more_streams_than_threads_hold_nobody_up(ask):
    assert ask(*["/flowing"] * 6, "/plain") == [(200, b"one two")] * 6 + [(200, b"plain")]


def test_the_end_of_a_request_is_still_announced(ask):
    ended = []

    def note(**_):
        ended.append(1)

    request_finished.connect(note)
    try:
        ask("/plain", "/flowing", "/nowhere")
    finally:
        request_finished.disconnect(note)

    assert len(ended) == 3


def test_nothing_but_http_is_served():
    with pytest.raises(ValueError, match="websocket"):
        asyncio.run(WebWorkers.__call__(None, {"type": "websocket"}, None, None))
