"""How much of a request is read, before Django sees it."""

import asyncio
import json

import pytest
from django.core.exceptions import RequestAborted

from polaris import request_limits
from polaris.request_limits import LARGEST_DROPPED, RequestRefused, read_whole
from polaris.tests.asgi import ask_application

HOOK = "/webhook/call-status"


def scope(path=HOOK, query=b"", **headers):
    named = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    return {"path": path, "query_string": query, "headers": named}


def source(*parts, last=None):
    """A client that sends these parts of a body; counts what was taken of them."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
    messages.append(last or {"type": "http.request", "body": b""})
    taken = []

    async def receive():
        if len(taken) == len(messages):
            return await asyncio.Event().wait()
        taken.append(messages[len(taken)])
        return taken[-1]

    return receive, taken


def read(receive, **more):
    async def read():
        whole = await read_whole(scope(**more), receive)
        return (await whole())["body"]

    return asyncio.run(read())


def test_a_body_in_parts_is_read_whole():
    receive, _ = source(b"one ", b"two")

    assert read(receive) == b"one two"


def test_a_body_of_exactly_the_limit_is_read():
    receive, _ = source(b"x" * 65_536)

    assert len(read(receive)) == 65_536


def test_a_body_that_says_nothing_of_its_length_is_read_no_further_than_the_limit():
    receive, taken = source(*[b"x" * 65_536] * 100)

    with pytest.raises(RequestRefused) as refusal:
        read(receive)

    assert refusal.value.error.code == "REQUEST_006"
    assert len(taken) == 2


def test_a_body_that_lies_about_its_length_is_read_no_further_than_the_limit():
    receive, taken = source(*[b"x" * 65_536] * 100)

    with pytest.raises(RequestRefused):
        read(receive, content_length=b"3")

    assert len(taken) == 2


def test_what_is_too_large_is_dropped_without_end_neither_in_memory_nor_in_size():
    receive, taken = source(*[b"x" * 2**20] * 100)

    with pytest.raises(RequestRefused):
        read(receive, content_length=str(LARGEST_DROPPED).encode())

    assert len(taken) == 16


@pytest.mark.parametrize("more", [{"content_length": b"9" * 30}, {"content_length": b"99999999"}])
def test_what_is_far_too_large_is_not_read_at_all(more):
    receive, taken = source(b"x")

    with pytest.raises(RequestRefused):
        read(receive, **more)

    assert not taken


def test_a_client_that_drips_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(request_limits, "BODY_SECONDS", 0.01)

    async def silent():
        return await asyncio.Event().wait()

    with pytest.raises(RequestRefused, match="did not arrive"):
        read(silent)


@pytest.mark.parametrize("length", [b"3", b"3000000"])
def test_a_client_that_goes_gets_no_answer(length):
    receive, _ = source(last={"type": "http.disconnect"})

    with pytest.raises(RequestAborted):
        read(receive, content_length=length)


@pytest.mark.parametrize(
    ("more", "status", "code"),
    [
        ({"path": "/" + "x" * 8000}, 414, "REQUEST_009"),
        ({"path": "/schedule/", "query": b"x" * 8000}, 414, "REQUEST_009"),
        ({"path": "/schedule/", "headers": [(b"x", b"y" * 32_768)]}, 400, "REQUEST_008"),
        ({"path": HOOK, "body": [b"x" * 70_000]}, 413, "REQUEST_006"),
        ({"path": "/schedule/", "body": [b"x" * 2_700_000]}, 413, "REQUEST_006"),
        ({"path": "/admin/", "body": [b"x" * 2_700_000]}, 413, "REQUEST_006"),
    ],
)
def test_the_answer_has_the_error_format_and_the_headers_of_every_other(more, status, code):
    answer = ask_application(**more)

    assert (answer.status_code, json.loads(answer.content)["error_code"]) == (status, code)
    assert answer.headers["Connection"] == "close"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
