"""What each ending of a number brings about: the create's answer, the ledger and the webhooks."""

import re
import socket
from base64 import b64encode
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tracking.simulator.calls import script
from tracking.simulator.courier import terms_of
from tracking.simulator.orders import Order
from tracking.simulator.outcomes import ANSWERED, OUTCOMES, outcome_for
from tracking.simulator.receiver import HANG_UP, Receiver, running_receiver
from tracking.simulator.testing import SimulatedCarrier, running_carrier

ACCOUNT, TOKEN = "AC" + "5e" * 16, "simulated token"
FROM = "+15005550006"
EVENTS = ["initiated", "ringing", "answered", "completed"]
WHOLE_LIFE = ["initiated", "ringing", "in-progress", "completed"]
GUIDE = Path(__file__).parents[2] / "docs" / "carrier.md"


@pytest.fixture(scope="module")
def shared_carrier():
    with running_carrier(
        account_sid=ACCOUNT, auth_token=TOKEN, speed=200, late_answer=10_000
    ) as carrier:
        yield carrier


@pytest.fixture
def carrier(shared_carrier):
    shared_carrier.forget()
    return shared_carrier


@pytest.fixture
def http():
    http = TwilioHttpClient(timeout=10)
    yield http
    http.session.close()


@pytest.fixture
def line(carrier, http):
    client = client_of(carrier, http)
    with running_receiver(TOKEN) as receiver:
        yield Line(carrier, receiver, client)


@dataclass
class Line:
    """A client, the carrier that it calls, and the receiver that hears of it."""

    carrier: SimulatedCarrier
    receiver: Receiver
    client: Client

    def dial(self, digits, **options):
        """A call to a number with this ending, which reports every event."""
        path = options.pop("callback", "")
        defaults = {
            "twiml": "<Response/>",
            "status_callback": self.receiver.url + path,
            "status_callback_event": EVENTS,
        }
        return self.client.calls.create(to=number(digits), from_=FROM, **defaults | options)

    def statuses(self):
        """What the receiver has heard once all is over."""
        self.carrier.wait_idle()
        return self.receiver.statuses()


def client_of(carrier, http):
    client = Client(ACCOUNT, TOKEN, http_client=http)
    client.api.base_url = carrier.url
    return client


def number(digits):
    return f"+120255501{digits}"


def raw_create(carrier, digits):
    """The connection of a create that was sent by hand."""
    parts = urlsplit(carrier.url)
    body = urlencode({"To": number(digits), "From": FROM, "Twiml": "x"})
    credentials = b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    connection = socket.create_connection((parts.hostname, parts.port), timeout=10)
    connection.sendall(
        f"POST /2010-04-01/Accounts/{ACCOUNT}/Calls.json HTTP/1.1\r\n"
        f"Host: {parts.netloc}\r\nAuthorization: Basic {credentials}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return connection


# -- the table ---------------------------------------------------------------------------------


def test_the_guide_has_the_same_table():
    guide = GUIDE.read_text(encoding="utf-8")
    outcomes = [*OUTCOMES.values(), ANSWERED]

    rows = re.findall(r"^\| (\d\d|any other) \| (.+?) \| (.+?) \|$", guide, re.M)

    assert rows == [(row.digits or "any other", row.title, row.sentence) for row in outcomes]


def test_a_number_that_is_not_in_the_table_is_answered():
    assert outcome_for("+1234567890") is ANSWERED


def test_equal_numbers_live_equal_lives():
    order = Order(to="+1234567890", sender=FROM)

    assert script(ANSWERED, order) == script(ANSWERED, order)


@pytest.mark.parametrize("last", range(30))
def test_an_ordinary_call_rings_and_lasts_as_the_table_says(last):
    _, ringing, answered, end = script(ANSWERED, Order(to=f"+12345678{last:02}", sender=FROM))

    assert 1 <= answered.after - ringing.after <= 3
    assert 5 <= end.talked <= 20
    assert end.after - answered.after == pytest.approx(end.talked)


def test_a_long_call_lasts_ten_minutes():
    assert script(OUTCOMES["05"], Order(to=number("05"), sender=FROM))[-1].talked == 600


def test_an_unanswered_call_rings_until_its_timeout():
    _, ringing, end = script(OUTCOMES["02"], Order(to=number("02"), sender=FROM, timeout=25))

    assert end.after - ringing.after == 25


# -- calls that are accepted as they should be -------------------------------------------------


@pytest.mark.parametrize(
    ("digits", "statuses", "sip"),
    [
        ("90", WHOLE_LIFE, "200"),
        ("01", ["initiated", "ringing", "busy"], "486"),
        ("02", ["initiated", "ringing", "no-answer"], "487"),
        ("03", ["initiated", "failed"], "404"),
        ("04", ["initiated", "ringing", "canceled"], "487"),
        ("06", WHOLE_LIFE, "200"),
        ("07", ["initiated", "failed"], "503"),
        ("26", ["completed"], "200"),
    ],
)
def test_the_webhooks_of_an_outcome_tell_its_life(line, digits, statuses, sip):
    call = line.dial(digits)

    line.carrier.wait_idle()
    final = line.receiver.told[-1].fields
    answered = statuses[-1] == "completed"
    assert line.receiver.statuses() == statuses
    assert [told.fields["SequenceNumber"] for told in line.receiver.told] == list(
        map(str, range(len(statuses)))
    )
    assert final["SipResponseCode"] == sip
    assert (int(final["CallDuration"]) > 0, final["Duration"]) == (answered, str(int(answered)))
    assert call.fetch().status == statuses[-1]
    assert call.fetch().duration == final["CallDuration"]


def test_a_webhook_is_signed_and_complete(line):
    call = line.dial("90", callback="/hook?attempt=log_7&x=a%20b#rc=3&rp=5xx")

    line.carrier.wait_idle()
    ringing = line.receiver.told[1]
    assert all(told.is_signed for told in line.receiver.told)
    assert {told.path for told in line.receiver.told} == {"/hook?attempt=log_7&x=a%20b"}
    assert len({told.token for told in line.receiver.told}) == 4
    assert parsedate_to_datetime(ringing.fields.pop("Timestamp")).utcoffset().seconds == 0
    assert {name for name, text in ringing.fields.items() if not text} == {
        side + place
        for side in ("Called", "Caller", "From", "To")
        for place in ("City", "Country", "State", "Zip")
    }
    assert {name: text for name, text in ringing.fields.items() if text} == {
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "CallSid": call.sid,
        "CallStatus": "ringing",
        "CallbackSource": "call-progress-events",
        "Called": call.to,
        "Caller": FROM,
        "Direction": "outbound-api",
        "From": FROM,
        "SequenceNumber": "1",
        "To": call.to,
    }


def test_only_the_end_is_told_unless_more_is_asked_for(line):
    line.dial("90", status_callback_event=None)

    assert line.statuses() == ["completed"]
    assert line.receiver.told[0].fields["SequenceNumber"] == "0"


def test_a_webhook_can_come_by_get(line):
    line.dial("90", callback="/hook?attempt=7", status_callback_method="GET")

    line.carrier.wait_idle()
    assert {told.method for told in line.receiver.told} == {"GET"}
    assert all(told.is_signed for told in line.receiver.told)
    assert line.receiver.told[0].fields["attempt"] == "7"
    assert line.receiver.statuses() == WHOLE_LIFE


@pytest.mark.parametrize(
    ("digits", "detection", "answered_by"),
    [
        ("06", "Enable", "machine_start"),
        ("06", "DetectMessageEnd", "machine_end_beep"),
        ("06", None, None),
        ("90", "Enable", "human"),
        ("01", "Enable", None),
    ],
)
def test_the_final_webhook_says_who_answered(line, digits, detection, answered_by):
    call = line.dial(digits, **({"machine_detection": detection} if detection else {}))

    line.carrier.wait_idle()
    assert line.receiver.told[-1].fields.get("AnsweredBy") == answered_by
    assert call.fetch().answered_by == answered_by


# -- calls that are refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("digits", "status", "code"),
    [
        ("11", 400, 21211),
        ("12", 400, 21215),
        ("13", 401, 20003),
        ("16", 503, 20503),
        ("25", 400, 10004),
    ],
)
def test_a_refused_call_is_not_made(line, digits, status, code):
    for _ in range(2):
        with pytest.raises(TwilioRestException) as caught:
            line.dial(digits)

        assert (caught.value.status, caught.value.code) == (status, code)
    line.carrier.wait_idle()
    assert (line.carrier.accepted(), line.receiver.told) == (0, [])


def test_the_third_create_passes_the_rate_limit(line):
    for _ in range(2):
        with pytest.raises(TwilioRestException) as caught:
            line.dial("14")
        assert (caught.value.status, caught.value.code) == (429, 20429)

    assert line.dial("14").status == "queued"

    assert line.carrier.accepted() == 1


def test_a_rate_limited_answer_says_when_to_return(carrier):
    form = {"To": number("14"), "From": FROM, "Twiml": "x"}
    url = f"{carrier.url}/2010-04-01/Accounts/{ACCOUNT}/Calls.json"

    response = requests.post(url, form, auth=(ACCOUNT, TOKEN), timeout=10)

    assert response.headers["retry-after"] == "1"


# -- answers that do not tell the truth, or do not come ----------------------------------------


def test_an_error_can_hide_an_accepted_call(line):
    with pytest.raises(TwilioRestException) as caught:
        line.dial("15")

    line.carrier.wait_idle()
    assert (caught.value.status, caught.value.code) == (500, 20500)
    assert line.carrier.accepted() == 1
    assert line.receiver.statuses() == WHOLE_LIFE


def test_a_late_answer_outlasts_the_clients_patience(line, http):
    http.timeout = 0.3

    with pytest.raises(requests.ReadTimeout):
        line.dial("17")

    line.carrier.wait_idle()
    assert line.carrier.accepted() == 1
    assert line.receiver.statuses() == WHOLE_LIFE


def test_a_late_answer_comes_to_those_who_wait(http):
    with running_carrier(
        account_sid=ACCOUNT, auth_token=TOKEN, speed=100, late_answer=10
    ) as carrier:
        client = client_of(carrier, http)

        assert client.calls.create(to=number("17"), from_=FROM, twiml="x").status == "queued"


@pytest.mark.parametrize(
    ("digits", "error", "accepted", "told"),
    [
        ("18", requests.ConnectionError, 1, WHOLE_LIFE),
        ("19", requests.exceptions.ChunkedEncodingError, 1, WHOLE_LIFE),
        ("24", requests.ConnectionError, 0, []),
        ("27", requests.ConnectionError, 1, []),
    ],
)
def test_the_sdk_hears_of_a_cut_connection_and_the_ledger_of_the_call(
    line, digits, error, accepted, told
):
    with pytest.raises(error):
        line.dial(digits)

    line.carrier.wait_idle()
    assert line.carrier.accepted() == accepted
    assert line.receiver.statuses() == told


@pytest.mark.parametrize("digits", ["18", "24"])
def test_a_reset_is_a_reset_on_the_wire(carrier, digits):
    with raw_create(carrier, digits) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)


def test_a_truncated_answer_promises_more_than_it_sends(carrier):
    answer = b""
    with raw_create(carrier, "19") as connection:
        while received := connection.recv(65536):
            answer += received

    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201")
    assert 0 < len(body) < int(re.search(rb"content-length: (\d+)", head)[1])


def test_a_cut_connection_does_not_hurt_the_next_create(line):
    with pytest.raises(requests.ConnectionError):
        line.dial("18")

    assert line.dial("90").status == "queued"


def test_a_lost_call_is_late_in_the_list(http):
    with running_carrier(account_sid=ACCOUNT, auth_token=TOKEN, speed=0.01) as carrier:
        client = client_of(carrier, http)
        with pytest.raises(requests.ConnectionError):
            client.calls.create(to=number("27"), from_=FROM, twiml="x")

        assert client.calls.list(to=number("27")) == []
        assert carrier.accepted() == 1


# -- webhooks that go astray -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("digits", "statuses"),
    [
        ("20", []),
        ("21", ["completed", "initiated", "ringing", "in-progress"]),
        ("22", [status for status in WHOLE_LIFE for _ in range(2)]),
    ],
)
def test_webhooks_can_be_lost_late_or_doubled(line, digits, statuses):
    call = line.dial(digits)

    assert line.statuses() == statuses
    assert call.fetch().status == "completed"


def test_late_webhooks_keep_their_sequence_numbers(line):
    line.dial("21")

    line.carrier.wait_idle()
    assert [told.fields["SequenceNumber"] for told in line.receiver.told] == ["3", "0", "1", "2"]


def test_doubled_webhooks_share_token_and_sequence_number(line):
    line.dial("22")

    line.carrier.wait_idle()
    for first, second in zip(line.receiver.told[::2], line.receiver.told[1::2], strict=True):
        assert (first.token, first.fields) == (second.token, second.fields)


def test_the_first_webhooks_can_come_before_the_answer(line):
    call = line.dial("23")

    heard_by_then = line.receiver.statuses()[:2]
    line.carrier.wait_idle()
    assert (call.status, call.start_time) == ("queued", None)
    assert heard_by_then == ["initiated", "ringing"]
    assert line.receiver.statuses() == WHOLE_LIFE


# -- retries -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fragment", "answers", "tries"),
    [
        ("", [500], 1),
        ("#rc=3", [500], 1),
        ("#rc=3&rp=5xx,ct,rt", [500, 503], 3),
        ("#rc=3&rp=5xx,ct,rt", [500] * 9, 4),
        ("#rc=9&rp=5xx", [500] * 9, 6),
        ("#rp=5xx", [500] * 9, 2),
        ("#rc=3&rp=5xx,ct,rt", [404], 1),
        ("#rc=3&rp=4xx", [404], 2),
        ("#rc=3&rp=all", [404, 500], 3),
        ("#rc=3&rp=5xx,ct,rt", [HANG_UP], 2),
        ("#rc=3&rp=ct", [HANG_UP], 1),
        ("#rc=3&rp=all,2xx,3xx", [302], 1),
    ],
)
def test_a_webhook_is_repeated_only_as_its_fragment_asks(line, fragment, answers, tries):
    line.receiver.answers.extend(answers)

    line.dial("90", callback=f"/hook{fragment}", status_callback_event=["completed"])

    line.carrier.wait_idle()
    assert len(line.receiver.told) == tries
    assert len({told.token for told in line.receiver.told}) == 1
    assert all(told.is_signed for told in line.receiver.told)


@pytest.mark.parametrize(("answer", "noted"), [(204, 204), (500, 500), (302, 302), (HANG_UP, "rt")])
def test_the_ledger_keeps_what_the_receiver_answered(line, answer, noted):
    line.receiver.answers.append(answer)

    line.dial("90", status_callback_event=["completed"])

    line.carrier.wait_idle()
    assert line.carrier.calls()[0]["webhooks"] == [{"status": "completed", "answer": noted}]


def test_a_receiver_that_is_not_there_is_noted(line):
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"http://127.0.0.1:{server.getsockname()[1]}/#rc=2&rp=ct"

    line.dial("90", status_callback=nobody, status_callback_event=["completed"])

    line.carrier.wait_idle()
    assert line.carrier.calls()[0]["webhooks"] == [{"status": "completed", "answer": "ct"}]


@pytest.mark.parametrize(("fragment", "noted"), [("rt=100", "rt"), ("tt=100", "tt")])
def test_a_receiver_that_says_nothing_is_given_up(line, fragment, noted):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/#{fragment}"
        line.dial("90", status_callback=url, status_callback_event=["completed"])

        line.carrier.wait_idle()

    assert line.carrier.calls()[0]["webhooks"] == [{"status": "completed", "answer": noted}]


def test_a_fragment_is_read_within_twilios_limits():
    terms = terms_of("rc=99&ct=1&rt=99999&tt=x")

    assert (terms.retries, terms.connect, terms.read, terms.total) == (5, 0.1, 15, 15)
