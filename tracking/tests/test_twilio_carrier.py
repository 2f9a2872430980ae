"""The Twilio back end: the real SDK against the simulated carrier over HTTP."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from tracking.carriers import twilio as twilio_carrier
from tracking.carriers.base import CallNotAccepted, CallRequest, Trouble
from tracking.carriers.twilio import TwilioCarrier, callback_url
from tracking.simulator.testing import running_carrier
from tracking.states import CallStatus


@contextmanager
def answering(settings, status=201, body="{}", *, resets=False, **headers) -> Iterator[list[str]]:
    """A server that gives everybody the same answer, or none; tells the bodies that it was sent."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            heard.append(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            self.answer()

        def do_GET(self):
            self.answer()

        def answer(self):
            if resets:
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
                self.connection.close()
                return
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_):
            """Quiet."""

        def finish(self):
            if not resets:
                super().finish()

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.TWILIO_API_BASE_URL = f"http://127.0.0.1:{server.server_port}"
        yield heard
        server.shutdown()


def request(to="+14155550100", **more) -> CallRequest:
    return CallRequest(**{"to": to, "attempt_id": "log_1", "schedule_id": "schedule_1"} | more)


@pytest.fixture(scope="module")
def simulated():
    account, token = "AC" + "0" * 32, "the suite's own token"
    with running_carrier(
        account_sid=account, auth_token=token, speed=100, late_answer=200
    ) as carrier:
        yield carrier


@pytest.fixture
def carrier(simulated, settings):
    settings.TWILIO_API_BASE_URL = simulated.url
    settings.TWILIO_WEBHOOK_URL = "http://127.0.0.1:9/webhook/call-status"
    settings.TWILIO_READ_TIMEOUT = 0.5
    simulated.forget()
    return TwilioCarrier()


def test_an_accepted_call_has_an_id_and_asks_for_every_event(carrier, simulated):
    answer = carrier.place_call(request())

    (call,) = simulated.calls()
    assert answer.call_id == call["sid"]
    assert answer.status == CallStatus.QUEUED
    assert call["to"] == "+14155550100"
    assert "attempt_id=log_1" in call["status_callback"]
    assert call["status_callback"].endswith("#rc=3&rp=5xx,ct,rt")


@pytest.mark.parametrize(
    ("to", "trouble", "code", "accepted"),
    [
        ("+14155550111", Trouble.NUMBER, "21211", 0),
        ("+14155550112", Trouble.PERMISSION, "21215", 0),
        ("+14155550113", Trouble.ACCOUNT, "20003", 0),
        ("+14155550114", Trouble.BUSY, "20429", 0),
        ("+14155550115", Trouble.AMBIGUOUS, "20500", 1),
        ("+14155550116", Trouble.AMBIGUOUS, "20503", 0),
        ("+14155550117", Trouble.AMBIGUOUS, "ambiguous", 1),
        ("+14155550118", Trouble.AMBIGUOUS, "ambiguous", 1),
        ("+14155550119", Trouble.AMBIGUOUS, "ambiguous", 1),
        ("+14155550124", Trouble.AMBIGUOUS, "ambiguous", 0),
        ("+14155550125", Trouble.BUSY, "10004", 0),
    ],
)
def test_each_trouble_is_told_apart(carrier, simulated, to, trouble, code, accepted):
    with pytest.raises(CallNotAccepted) as refused:
        carrier.place_call(request(to))

    assert (refused.value.trouble, refused.value.code) == (trouble, code)
    assert simulated.accepted() == accepted
    assert to not in str(refused.value)


def test_a_refused_connection_means_that_nothing_was_sent(settings):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings.TWILIO_API_BASE_URL = f"http://127.0.0.1:{port}"

    with pytest.raises(CallNotAccepted) as refused:
        TwilioCarrier().place_call(request())

    assert refused.value.trouble is Trouble.NOT_SENT


@pytest.mark.parametrize(
    ("status", "body", "trouble"),
    [
        (502, "<html>Bad gateway</html>", Trouble.AMBIGUOUS),
        (504, "", Trouble.AMBIGUOUS),
        (201, '{"sid": "CA', Trouble.AMBIGUOUS),
        (201, "{}", Trouble.AMBIGUOUS),
        (429, '{"code": 20429, "message": "Too many"}', Trouble.BUSY),
        (400, '{"code": 99999, "message": "New"}', Trouble.REQUEST),
        (403, '{"code": 88888, "message": "New"}', Trouble.ACCOUNT),
        (307, "", Trouble.REQUEST),
    ],
)
def test_answers_that_the_simulation_does_not_give(settings, status, body, trouble):
    served = answering(settings, status, body, Location="/elsewhere")
    with served as heard, pytest.raises(CallNotAccepted) as refused:
        TwilioCarrier().place_call(request())

    assert refused.value.trouble is trouble
    assert len(heard) == 1


@pytest.mark.parametrize(
    ("headers", "waits"),
    [
        ({"Retry_After": "7"}, timedelta(seconds=7)),
        ({"Retry_After": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_told_where_twilio_says_it(settings, headers, waits):
    served = answering(settings, 429, '{"code": 20429, "message": "Too many"}', **headers)
    with served, pytest.raises(CallNotAccepted) as refused:
        TwilioCarrier().place_call(request())

    assert refused.value.retry_after == waits


def test_a_reset_connection_is_asked_once(settings):
    with answering(settings, resets=True) as heard, pytest.raises(CallNotAccepted) as refused:
        TwilioCarrier().place_call(request())

    assert refused.value.trouble is Trouble.AMBIGUOUS
    assert len(heard) == 1


def test_a_name_that_cannot_be_resolved_means_that_nothing_was_sent(settings):
    settings.TWILIO_API_BASE_URL = "http://nowhere.invalid"

    with pytest.raises(CallNotAccepted) as refused:
        TwilioCarrier().place_call(request())

    assert refused.value.trouble is Trouble.NOT_SENT


def test_the_voice_url_is_filled_and_else_a_greeting_is_sent(settings):
    with answering(settings, body='{"sid": "CA1", "status": "queued"}') as heard:
        TwilioCarrier().place_call(request())
        settings.TWILIO_VOICE_URL = "https://agents.example/{agent_instance_id}?for={schedule_id}"
        TwilioCarrier().place_call(request(agent_instance_id="agent 7/ä"))

    greeting, agent = heard
    assert "Twiml=%3CResponse" in greeting
    assert "Url=https%3A%2F%2Fagents.example%2Fagent%25207%252F%25C3%25A4" in agent
    assert "Twiml" not in agent


def test_machines_are_listened_for_only_where_the_policy_wants_to_know(settings):
    with answering(settings, body='{"sid": "CA1", "status": "queued"}') as heard:
        TwilioCarrier().place_call(request())
        TwilioCarrier().place_call(request(detects_machines=True))

    assert ["MachineDetection=Enable" in body for body in heard] == [False, True]


def test_calls_to_a_number_are_found_again(carrier, simulated):
    answer = carrier.place_call(request("+14155550101"))
    carrier.place_call(request("+14155550102"))
    now = timezone.now()

    minute = timedelta(minutes=1)
    found = carrier.find_calls("+14155550101", since=now - minute, until=now + minute)
    long_ago = carrier.find_calls("+14155550101", since=now - 2 * minute, until=now - minute)

    assert [report.call_id for report in found] == [answer.call_id]
    assert long_ago == []


def test_all_calls_since_a_moment_are_found_page_by_page(carrier, simulated, monkeypatch):
    monkeypatch.setattr("tracking.carriers.twilio._LARGEST_PAGE", 2)
    placed = [carrier.place_call(request(f"+1415555{n:02d}26")) for n in range(5)]
    now = timezone.now()

    found = carrier.calls_since(now - timedelta(minutes=1))
    none = carrier.calls_since(now + timedelta(minutes=1))

    assert {report.call_id for report in found} == {report.call_id for report in placed}
    assert {report.phone for report in found} == {f"+1415555{n:02d}26" for n in range(5)}
    assert all(abs(report.made_at - now) < timedelta(minutes=1) for report in found)
    assert none == []


def test_a_list_is_read_no_further_than_it_is_asked_for(carrier, simulated, monkeypatch):
    monkeypatch.setattr("tracking.carriers.twilio._LARGEST_PAGE", 2)
    for n in range(5):
        carrier.place_call(request(f"+1415555{n:02d}26"))
    seen = []
    report_of = twilio_carrier._report_of
    monkeypatch.setattr(
        twilio_carrier, "_report_of", lambda call: seen.append(call) or report_of(call)
    )

    carrier.calls_since(timezone.now() + timedelta(minutes=10))

    assert len(seen) == 1


def test_a_carrier_that_cannot_list_says_so(settings):
    with answering(settings, 503, ""):
        found = TwilioCarrier().find_calls("+1415", since=timezone.now(), until=timezone.now())
        since = TwilioCarrier().calls_since(timezone.now())

    assert (found, since) == (None, None)


def test_a_call_that_rings_is_cancelled_and_one_that_is_over_is_left(carrier, simulated):
    ringing = carrier.place_call(request("+14155550102"))
    over = carrier.place_call(request("+14155550126"))
    simulated_end = carrier.stop_call(ringing.call_id, hang_up=False)
    simulated.wait_idle()

    assert simulated_end.status == CallStatus.CANCELLED
    assert carrier.stop_call(over.call_id, hang_up=True).status == CallStatus.COMPLETED


def test_a_call_can_be_fetched_again(carrier, simulated):
    answer = carrier.place_call(request("+14155550101"))
    simulated.wait_idle()

    found = carrier.fetch_call(answer.call_id)

    assert found.status == CallStatus.BUSY


def test_a_call_that_twilio_has_no_record_of_has_failed(carrier):
    found = carrier.fetch_call("CA" + "f" * 32)

    assert found.status == CallStatus.FAILED
    assert "no record" in found.reason


def test_a_call_that_cannot_be_asked_for_is_not_decided(settings):
    with answering(settings, 503, ""):
        assert TwilioCarrier().fetch_call("CA" + "f" * 32) is None


@pytest.mark.parametrize("name", ["ACCOUNT_SID", "AUTH_TOKEN", "FROM_NUMBER", "WEBHOOK_URL"])
def test_it_does_not_start_half_configured(settings, name):
    setattr(settings, f"TWILIO_{name}", "")

    with pytest.raises(ImproperlyConfigured, match=f"TWILIO_{name}"):
        TwilioCarrier()


def test_the_callback_names_the_attempt():
    assert callback_url("log_1") == (
        "https://polaris.example/webhook/call-status?attempt_id=log_1#rc=3&rp=5xx,ct,rt"
    )
