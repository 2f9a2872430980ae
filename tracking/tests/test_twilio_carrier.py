"""The Twilio back end: the real SDK against the simulated carrier over HTTP."""

import socket

import pytest
import requests
import responses
from django.core.exceptions import ImproperlyConfigured

from tracking.carriers.base import CallNotAccepted, CallRequest, Trouble
from tracking.carriers.twilio import TwilioCarrier, callback_url
from tracking.simulator.testing import running_carrier
from tracking.states import CallStatus

URL = "https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000000/Calls.json"


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
        ("+14155550112", Trouble.ACCOUNT, "21215", 0),
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


@responses.activate
@pytest.mark.parametrize(
    ("status", "body", "trouble"),
    [
        (502, "<html>Bad gateway</html>", Trouble.AMBIGUOUS),
        (504, "", Trouble.AMBIGUOUS),
        (201, '{"sid": "CA', Trouble.AMBIGUOUS),
        (429, '{"code": 20429, "message": "Too many"}', Trouble.BUSY),
        (400, '{"code": 99999, "message": "New"}', Trouble.REQUEST),
        (403, '{"code": 88888, "message": "New"}', Trouble.ACCOUNT),
    ],
)
def test_answers_that_the_simulation_does_not_give(status, body, trouble):
    responses.post(URL, status=status, body=body)

    with pytest.raises(CallNotAccepted) as refused:
        TwilioCarrier().place_call(request())

    assert refused.value.trouble is trouble
    assert len(responses.calls) == 1


@responses.activate
def test_a_reset_connection_is_asked_once():
    responses.post(URL, body=requests.ConnectionError(ConnectionResetError(104, "reset")))

    with pytest.raises(CallNotAccepted) as refused:
        TwilioCarrier().place_call(request())

    assert refused.value.trouble is Trouble.AMBIGUOUS
    assert len(responses.calls) == 1


@responses.activate
def test_the_voice_url_is_filled_and_else_a_greeting_is_sent(settings):
    responses.post(URL, status=201, json={"sid": "CA" + "1" * 32, "status": "queued"})

    TwilioCarrier().place_call(request())
    settings.TWILIO_VOICE_URL = "https://agents.example/{agent_instance_id}?for={schedule_id}"
    TwilioCarrier().place_call(request(agent_instance_id="agent 7/ä"))

    greeting, agent = (call.request.body for call in responses.calls)
    assert "Twiml=%3CResponse" in greeting
    assert "Url=https%3A%2F%2Fagents.example%2Fagent%25207%252F%25C3%25A4" in agent
    assert "Twiml" not in agent


def test_a_call_can_be_fetched_again(carrier, simulated):
    answer = carrier.place_call(request("+14155550101"))
    simulated.wait_idle()

    found = carrier.fetch_call(answer.call_id)

    assert found.status == CallStatus.BUSY


def test_a_call_that_twilio_has_no_record_of_has_failed(carrier):
    found = carrier.fetch_call("CA" + "f" * 32)

    assert found.status == CallStatus.FAILED
    assert "no record" in found.reason


@responses.activate
def test_a_call_that_cannot_be_asked_for_is_not_decided():
    responses.get(URL.replace(".json", f"/CA{'f' * 32}.json"), status=503)

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
