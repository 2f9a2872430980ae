"""Hostile requests over the wire: what a framework's test client cannot say.

Each is refused with a 4xx, in the error format wherever the server passes it on to us."""

import sqlite3
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.http import QueryDict
from twilio.request_validator import RequestValidator

from polaris.tests.serving import Answer, say, serving

FORM = b"application/x-www-form-urlencoded"
JSON = b"application/json"
SID = "CA" + "0123456789abcdef" * 2
SIGNED_BODY = urlencode(
    {"AccountSid": settings.TWILIO_ACCOUNT_SID, "CallSid": SID, "CallStatus": "ringing"}
).encode()


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("hostile"), LOG_LEVEL="WARNING") as stack:
        yield stack


@pytest.fixture
def rows(web):
    """How many rows a request may have written."""

    def rows():
        with sqlite3.connect(web.environment["DATABASE_URL"].removeprefix("sqlite:///")) as file:
            tables = ("webhook_events", "call_logs", "call_schedules", "django_session")
            return [file.execute(f"SELECT count(*) FROM {table}").fetchone() for table in tables]  # noqa: S608

    return rows


def request(
    method=b"POST",
    target=b"/webhook/call-status",
    headers=(),
    body=b"",
    *,
    host=b"127.0.0.1",
    length=None,
    content_type=FORM,
) -> bytes:
    """A request, byte for byte."""
    lines = [method + b" " + target + b" HTTP/1.1", b"Connection: close"]
    if host is not None:
        lines.append(b"Host: " + host)
    if content_type:
        lines.append(b"Content-Type: " + content_type)
    if length is not False:
        lines.append(b"Content-Length: " + (length or str(len(body)).encode()))
    return b"\r\n".join([*lines, *headers]) + b"\r\n\r\n" + body


def sign(url: str, body: bytes = SIGNED_BODY) -> bytes:
    validator = RequestValidator(settings.TWILIO_AUTH_TOKEN)
    return b"X-Twilio-Signature: " + validator.compute_signature(url, QueryDict(body)).encode()


UNSIGNED = b"X-Twilio-Signature: x"
API = {"target": b"/schedule/", "content_type": JSON}
CHUNKED = b"Transfer-Encoding: chunked"
LARGE = b"a=" + b"x" * 70_000

# What is sent, the status, and the code where the answer is ours (None: the server's own).
HOSTILE = {
    # signatures
    "no signature": (request(body=b"a=1"), 403, "WEBHOOK_001"),
    "a wrong signature": (request(headers=[UNSIGNED], body=b"a=1"), 403, "WEBHOOK_001"),
    "two signatures": (request(headers=[UNSIGNED, UNSIGNED], body=b"a=1"), 403, "WEBHOOK_001"),
    "a signature of raw bytes": (
        request(headers=[b"X-Twilio-Signature: \xff\xfe\xe9"], body=b"a=1"), 403, "WEBHOOK_001",
    ),
    "a signature with a null": (
        request(headers=[b"X-Twilio-Signature: a\x00b"], body=b"a=1"), 400, None,
    ),
    # bodies
    "no body": (request(headers=[UNSIGNED]), 403, "WEBHOOK_001"),
    "chunks": (
        request(headers=[CHUNKED], body=b"3\r\na=1\r\n0\r\n\r\n", length=False), 400, "REQUEST_008",
    ),
    "chunks and a length": (
        request(headers=[CHUNKED], body=b"3\r\na=1\r\n0\r\n\r\n"), 400, "REQUEST_008",
    ),
    "broken chunks": (
        request(headers=[CHUNKED], body=b"zz\r\na=1\r\n", length=False), 400, None,
    ),
    "chunks to the API": (
        request(headers=[CHUNKED], body=b"2\r\n{}\r\n0\r\n\r\n", length=False, **API),
        400, "REQUEST_008",
    ),
    "a length that is no number": (request(body=b"a=1", length=b"three"), 400, None),
    "a negative length": (request(body=b"a=1", length=b"-3"), 400, None),
    "two lengths": (request(body=b"a=1", headers=[b"Content-Length: 2"]), 400, None),
    "an endless length": (request(body=b"a=1", length=b"9" * 19), 413, "REQUEST_006"),
    "a shorter length than the body": (
        request(headers=[UNSIGNED], body=b"a=1&b=2", length=b"3"), 403, "WEBHOOK_001",
    ),
    "a body over 64 kB": (request(headers=[UNSIGNED], body=LARGE), 413, "REQUEST_006"),
    "an API body over 2.5 MB": (request(body=b" " * 2_700_000, **API), 413, "REQUEST_006"),
    "an admin body over 2.5 MB": (
        request(target=b"/admin/login/", body=b"a=" + b"x" * 2_700_000), 413, "REQUEST_006",
    ),
    "a token body over 2.5 MB": (
        request(target=b"/auth/token", body=b" " * 2_700_000, content_type=JSON),
        413, "REQUEST_006",
    ),
    "1500 fields": (
        request(headers=[UNSIGNED], body=b"&".join([b"a=1"] * 1500)), 400, "REQUEST_008",
    ),
    "raw bytes": (request(headers=[UNSIGNED], body=b"\xff\xfe\x00\x80"), 403, "WEBHOOK_001"),
    "broken percent encoding": (
        request(headers=[UNSIGNED], body=b"%=%zz&%u0000=%f"), 403, "WEBHOOK_001",
    ),
    "a compressed body": (
        request(headers=[UNSIGNED, b"Content-Encoding: gzip"], body=b"\x1f\x8b\x08"),
        403, "WEBHOOK_001",
    ),
    # content types
    "JSON": (request(headers=[UNSIGNED], body=b"{}", content_type=JSON), 415, "REQUEST_004"),
    "multipart without an end": (
        request(
            headers=[UNSIGNED], body=b"--x\r\n", content_type=b"multipart/form-data; boundary=x"
        ),
        415, "REQUEST_004",
    ),
    "a charset of Python's own": (
        request(headers=[UNSIGNED], body=b"a=1", content_type=FORM + b"; charset=rot13"),
        415, "REQUEST_004",
    ),
    "a content type of raw bytes": (
        request(headers=[UNSIGNED], body=b"a=1", content_type=b"\xff/\xfe"), 415, "REQUEST_004",
    ),
    # methods
    "a method of its own": (request(method=b"BREW"), 405, "REQUEST_003"),
    "GET": (request(method=b"GET"), 405, "REQUEST_003"),
    "TRACE": (request(method=b"TRACE"), 405, "REQUEST_003"),
    "CONNECT": (request(method=b"CONNECT"), 405, "REQUEST_003"),
    "a method with a space": (request(method=b"PO ST"), 400, None),
    # addresses
    "a path of raw bytes": (request(target=b"/webhook/\xff\xfe"), 400, None),
    "a path that is no UTF-8": (request(target=b"/webhook/%ff%fe"), 404, "REQUEST_002"),
    "a path with a null": (request(target=b"/webhook/%00"), 404, "REQUEST_002"),
    "a path up and out": (
        request(method=b"GET", target=b"/static/../../polaris/settings.py"), 404, "REQUEST_002",
    ),
    "a path up and out, encoded": (
        request(method=b"GET", target=b"/static/%2e%2e%2f%2e%2e%2f.env"), 404, "REQUEST_002",
    ),
    "a whole address as path": (
        request(method=b"GET", target=b"http://169.254.169.254/"), 404, "REQUEST_002",
    ),
    "no path": (request(method=b"GET", target=b"*"), 404, "REQUEST_002"),
    "a path of 9,000 characters": (request(target=b"/" + b"x" * 9000), 414, "REQUEST_009"),
    "a query of 9,000 characters": (
        request(target=b"/webhook/call-status?a=" + b"x" * 9000), 414, "REQUEST_009",
    ),
    "a query of raw percent signs": (
        request(target=b"/webhook/call-status?%&%zz&=&%00", headers=[UNSIGNED]),
        403, "WEBHOOK_001",
    ),
    "a query with brackets": (
        request(target=b"/webhook/call-status?[//]:@", headers=[UNSIGNED]), 403, "WEBHOOK_001",
    ),
    # hosts
    "no host": (request(host=None), 400, None),
    "an empty host": (request(host=b""), 400, "REQUEST_008"),
    "another host": (request(host=b"evil.example"), 400, "REQUEST_008"),
    "a port out of range": (request(host=b"127.0.0.1:99999"), 403, "WEBHOOK_001"),
    "a port that is none": (request(host=b"127.0.0.1:x"), 400, "REQUEST_008"),
    "a broken IPv6 host": (request(host=b"[::1"), 400, "REQUEST_008"),
    "two hosts": (request(headers=[b"Host: evil.example"]), 400, None),
    "a host of raw bytes": (request(host=b"\xff\xfe"), 400, "REQUEST_008"),
    # headers
    "a header without a colon": (request(headers=[b"nonsense"]), 400, None),
    "a header without a name": (request(headers=[b": x"]), 400, None),
    "a folded header": (request(headers=[b"X-A: a\r\n b", UNSIGNED]), 403, "WEBHOOK_001"),
    "300 headers": (request(headers=[b"X-%d: a" % n for n in range(300)]), 403, "WEBHOOK_001"),
    "a header of 100 kB": (request(headers=[b"X-A: " + b"a" * 100_000]), 400, None),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, None),
    "HTTP of another kind": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404, None),
    # who one says one is
    "a signature over the Host": (
        request(
            host=b"localhost",
            headers=[sign("http://localhost/webhook/call-status")],
            body=SIGNED_BODY,
        ),
        403, "WEBHOOK_001",
    ),
    "a signature over X-Forwarded-Host": (
        request(
            headers=[
                sign("https://evil.example/webhook/call-status"),
                b"X-Forwarded-Host: evil.example",
                b"X-Forwarded-Proto: https",
                b"X-Forwarded-Port: 443",
                b"Forwarded: host=evil.example;proto=https",
            ],
            body=SIGNED_BODY,
        ),
        403, "WEBHOOK_001",
    ),
    "OPTIONS": (request(method=b"OPTIONS"), 405, "REQUEST_003"),
    "a method in a header": (
        request(method=b"GET", headers=[b"X-HTTP-Method-Override: POST"]), 405, "REQUEST_003",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_request_is_refused_and_writes_nothing(web, rows, name):
    raw, status, code = HOSTILE[name]
    before = rows()

    answer = say(web.port, raw)

    assert answer.status == status, answer
    if code:
        assert_formatted(answer, code)
    assert rows() == before


def assert_formatted(answer: Answer, code: str) -> None:
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error_code"] == code
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_is_signed_over_our_public_address_is_taken_whatever_the_host_says(web, rows):
    before = rows()
    signature = sign(web.environment["TWILIO_WEBHOOK_URL"])

    answer = say(
        web.port,
        request(
            headers=[signature, b"X-Forwarded-Host: evil.example"],
            body=SIGNED_BODY,
            host=b"localhost",
        ),
    )

    assert (answer.status, answer.body) == (204, b"")
    assert rows() != before


def test_who_asks_before_sending_too_much_is_told_at_once(web):
    answer = say(web.port, request(headers=[b"Expect: 100-continue"], length=b"3000000"))

    assert answer.status == 413


def test_the_server_goes_on_after_all_that_without_a_traceback(web):
    answer = say(web.port, request(method=b"GET", target=b"/schedule/"))

    assert answer.status == 401
    log = web.log_of("web")
    assert "Traceback" not in log, log[log.index("Traceback") :][:6000]
