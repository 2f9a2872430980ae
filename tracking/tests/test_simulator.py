"""The simulated carrier's dialect: what Twilio's SDK and a plain client get from it."""

import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import requests
from django.core.management import CommandError, call_command
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tracking.management.commands import runcarrier
from tracking.simulator.phone import dialled, formatted
from tracking.simulator.receiver import running_receiver
from tracking.simulator.server import NotLoopbackError, listen
from tracking.simulator.testing import running_carrier

ACCOUNT, TOKEN = "AC" + "5e" * 16, "simulated token"
OTHER_ACCOUNT = "AC" + "77" * 16
FROM = "+15005550006"
ANSWERED, UNANSWERED, LONG = "+12025550150", "+12025550102", "+12025550105"
SPEED = 200


@pytest.fixture(scope="module")
def shared_carrier():
    with running_carrier(account_sid=ACCOUNT, auth_token=TOKEN, speed=SPEED) as carrier:
        yield carrier


@pytest.fixture
def carrier(shared_carrier):
    shared_carrier.forget()
    return shared_carrier


@pytest.fixture
def receiver():
    with running_receiver(TOKEN) as receiver:
        yield receiver


@pytest.fixture
def http():
    http = TwilioHttpClient(timeout=10)
    yield http
    http.session.close()


@pytest.fixture
def client(carrier, http):
    return client_of(carrier, http)


@pytest.fixture
def slow_client(http):
    """At this carrier a call stays queued for minutes."""
    with running_carrier(account_sid=ACCOUNT, auth_token=TOKEN, speed=0.001) as carrier:
        yield client_of(carrier, http)


@pytest.fixture
def create(carrier):
    """Posts a create as a form; None leaves a field out."""

    def post(**fields):
        form = {"To": ANSWERED, "From": FROM, "Twiml": "<Response/>"} | fields
        return requests.post(calls_url(carrier), data=form, auth=(ACCOUNT, TOKEN), timeout=10)

    return post


def client_of(carrier, http):
    client = Client(ACCOUNT, TOKEN, http_client=http)
    client.api.base_url = carrier.url
    return client


def calls_url(carrier, rest=".json", account=ACCOUNT):
    return f"{carrier.url}/2010-04-01/Accounts/{account}/Calls{rest}"


def place(client, to=ANSWERED, **options):
    return client.calls.create(to=to, from_=FROM, twiml="<Response/>", **options)


def wait_for_status(client, sid, status):
    """Ask until the call has come so far; the carrier's clock is fast."""
    for _ in range(2000):
        if (call := client.calls(sid).fetch()).status == status:
            return call
    raise AssertionError(f"The call is {call.status}, never {status}")


# -- creating ----------------------------------------------------------------------------------


def test_a_new_call_is_queued_and_has_no_dates(client):
    call = place(client)

    assert call.sid.startswith("CA")
    assert len(call.sid) == 34
    assert (call.status, call.to, call._from) == ("queued", ANSWERED, FROM)
    assert (call.direction, call.api_version) == ("outbound-api", "2010-04-01")
    assert call.to_formatted == "(202) 555-0150"
    assert (call.date_created, call.start_time, call.duration) == (None, None, None)
    assert call.uri == f"/2010-04-01/Accounts/{ACCOUNT}/Calls/{call.sid}.json"
    assert call.subresource_uris["recordings"].endswith(f"{call.sid}/Recordings.json")


def test_a_call_that_is_over_has_dates_and_a_duration(carrier, client):
    sid = place(client).sid

    carrier.wait_idle()
    call = client.calls(sid).fetch()

    assert call.status == "completed"
    assert 5 <= int(call.duration) <= 20
    assert call.date_created <= call.start_time <= call.end_time


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To": None}, 21201),
        ({"To": ""}, 21201),
        ({"To": "Ada"}, 21211),
        ({"To": "+0123456789"}, 21211),
        ({"To": "+1202"}, 21211),
        ({"To": "client:ada"}, 21211),
        ({"From": None}, 21213),
        ({"Twiml": None}, 21205),
        ({"Twiml": None, "Url": "not a url"}, 21205),
        ({"Url": "http://host.example/voice", "Method": "PUT"}, 21209),
        ({"Twiml": "x" * 4001}, 32018),
        ({"StatusCallback": "ftp://host.example/"}, 21609),
        ({"StatusCallback": "http://"}, 21609),
        ({"StatusCallback": "http://host:99999/"}, 21609),
        ({"StatusCallback": "http://host/a b"}, 21609),
        ({"StatusCallback": "http://host/" + "a" * 4000}, 21609),
        ({"StatusCallback": "http://host/", "StatusCallbackMethod": "PUT"}, 21209),
        ({"StatusCallbackEvent": ["completed", "hung-up"]}, 21626),
        ({"Timeout": "0"}, 21208),
        ({"Timeout": "601"}, 21208),
        ({"Timeout": "soon"}, 21208),
    ],
)
def test_a_wrong_create_is_refused_with_twilios_code(carrier, create, fields, code):
    response = create(**fields)

    error = response.json()
    assert response.status_code == 400
    assert (error["code"], error["status"]) == (code, 400)
    assert error["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert carrier.accepted() == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"Twiml": None, "Url": "https://host.example/voice"},
        {"Twiml": None, "ApplicationSid": "AP" + "0" * 32},
        {"Twiml": "x" * 4000},
        {"Twiml": "x" * 4001, "Url": "https://host.example/voice"},
        {"Timeout": "600"},
        {"To": "+1 (202) 555-0150"},
    ],
)
def test_a_create_within_the_limits_is_accepted(carrier, create, fields):
    assert create(**fields).status_code == 201

    assert carrier.accepted() == 1


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+1234567890", "+1234567890"),
        ("(202) 555-0150", "+12025550150"),
        ("442079460000", "+442079460000"),
        ("+44 20 7946 0000", "+442079460000"),
        ("", None),
        ("+", None),
        ("+1234567890123456", None),
    ],
)
def test_a_number_is_read_as_it_is_dialled(text, number):
    assert dialled(text) == number


def test_a_number_from_abroad_is_shown_as_it_is():
    assert formatted("+442079460000") == "+442079460000"


# -- strangers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", [None, (ACCOUNT, "wrong"), (OTHER_ACCOUNT, TOKEN)])
@pytest.mark.parametrize("rest", [".json", "/CA" + "0" * 32 + ".json"])
def test_wrong_credentials_are_refused(carrier, auth, rest):
    response = requests.get(calls_url(carrier, rest), auth=auth, timeout=10)

    assert (response.status_code, response.json()["code"]) == (401, 20003)


@pytest.mark.parametrize(
    ("account", "answer"), [(OTHER_ACCOUNT, (401, 20003)), ("SK-not-an-account", (404, 20404))]
)
def test_another_account_in_the_path_is_refused(carrier, account, answer):
    url = calls_url(carrier, account=account)

    response = requests.post(url, auth=(ACCOUNT, TOKEN), timeout=10)

    assert (response.status_code, response.json()["code"]) == answer


@pytest.mark.parametrize("path", ["/", "/2010-04-01/Accounts.json", "/2010-04-01/Calls.json"])
def test_other_paths_are_not_found(carrier, path):
    response = requests.get(carrier.url + path, auth=(ACCOUNT, TOKEN), timeout=10)

    assert (response.status_code, response.json()["code"]) == (404, 20404)


def test_a_stray_visitor_finds_nothing(carrier):
    response = requests.get(carrier.url, timeout=10)

    assert (response.status_code, response.json()["code"]) == (404, 20404)


def test_other_methods_are_not_allowed(carrier, client):
    with pytest.raises(TwilioRestException) as caught:
        client.calls(place(client).sid).delete()

    assert (caught.value.status, caught.value.code) == (405, 20004)


def test_an_unknown_call_is_not_found(client):
    with pytest.raises(TwilioRestException) as caught:
        client.calls("CA" + "0" * 32).fetch()

    assert (caught.value.status, caught.value.code) == (404, 20404)


# -- ending a call early -----------------------------------------------------------------------


def test_a_queued_call_can_be_canceled(slow_client):
    sid = place(slow_client).sid

    assert slow_client.calls(sid).update(status="canceled").status == "canceled"

    assert slow_client.calls(sid).fetch().status == "canceled"


def test_a_ringing_call_can_be_canceled(carrier, client, receiver):
    sid = place(client, to=UNANSWERED, timeout=600, status_callback=receiver.url).sid
    wait_for_status(client, sid, "ringing")

    client.calls(sid).update(status="canceled")

    carrier.wait_idle()
    assert receiver.statuses() == ["canceled"]
    assert receiver.told[0].fields["SipResponseCode"] == "487"


def test_a_live_call_can_be_hung_up(carrier, client, receiver):
    sid = place(client, to=LONG, status_callback=receiver.url).sid
    wait_for_status(client, sid, "in-progress")

    call = client.calls(sid).update(status="completed")

    carrier.wait_idle()
    assert call.status == "completed"
    assert int(call.duration) < 600
    assert receiver.statuses() == ["completed"]


def test_a_cancel_leaves_an_answered_call_alone(client):
    sid = place(client, to=LONG).sid
    wait_for_status(client, sid, "in-progress")

    assert client.calls(sid).update(status="canceled").status == "in-progress"


def test_hanging_up_before_the_answer_cancels(slow_client):
    sid = place(slow_client).sid

    assert slow_client.calls(sid).update(status="completed").status == "canceled"


@pytest.mark.parametrize("wish", [{"status": "completed"}, {"status": "canceled"}, {"twiml": "x"}])
def test_a_finished_call_cannot_be_changed(carrier, client, wish):
    sid = place(client).sid
    carrier.wait_idle()

    with pytest.raises(TwilioRestException) as caught:
        client.calls(sid).update(**wish)

    assert (caught.value.status, caught.value.code) == (400, 21220)


def test_an_answered_call_takes_new_instructions(client):
    sid = place(client, to=LONG).sid
    wait_for_status(client, sid, "in-progress")

    assert client.calls(sid).update(twiml="<Response/>").status == "in-progress"


def test_an_update_that_says_nothing_is_refused(client):
    with pytest.raises(TwilioRestException) as caught:
        client.calls(place(client, to=LONG).sid).update()

    assert caught.value.code == 21200


# -- lists -------------------------------------------------------------------------------------


def test_a_list_is_newest_first_and_pages_to_the_end(client):
    sids = [place(client).sid for _ in range(7)]

    listed = client.calls.list(page_size=3)

    assert [call.sid for call in listed] == sids[::-1]


def test_new_calls_do_not_shift_the_next_page(client):
    sids = [place(client).sid for _ in range(4)]
    first_page = client.calls.page(page_size=2)

    place(client)
    next_page = first_page.next_page()

    assert [call.sid for call in next_page] == [sids[1], sids[0]]
    assert next_page.next_page() is None
    assert [call.sid for call in next_page.previous_page()] == [sids[3], sids[2]]


def test_pages_can_be_asked_for_by_number(carrier, client):
    sids = [place(client).sid for _ in range(5)]

    query = {"PageSize": 2, "Page": 2}
    page = requests.get(calls_url(carrier), query, auth=(ACCOUNT, TOKEN), timeout=10).json()

    assert [call["sid"] for call in page["calls"]] == [sids[0]]
    assert (page["page"], page["page_size"], page["start"], page["end"]) == (2, 2, 4, 4)
    assert page["next_page_uri"] is None
    assert page["first_page_uri"].endswith("Calls.json?PageSize=2&Page=0")


def test_a_list_can_be_narrowed(slow_client):
    other = "+12025550151"
    place(slow_client)
    wanted = place(slow_client, to=other).sid
    slow_client.calls(wanted).update(status="canceled")

    assert [call.sid for call in slow_client.calls.list(to=other)] == [wanted]
    assert [call.sid for call in slow_client.calls.list(status="canceled")] == [wanted]
    assert len(slow_client.calls.list(from_=FROM, limit=20)) == 2
    assert slow_client.calls.list(from_="+15005550001") == []


@pytest.mark.parametrize("query", [{"PageSize": "many"}, {"PageToken": "PA" + "0" * 34}])
def test_a_wrong_page_is_refused(carrier, query):
    response = requests.get(calls_url(carrier), query, auth=(ACCOUNT, TOKEN), timeout=10)

    assert (response.status_code, response.json()["code"]) == (400, 20001)


# -- the ledger --------------------------------------------------------------------------------


def test_the_ledger_counts_what_was_accepted(carrier, client, receiver):
    place(client)
    sid = place(client, status_callback=f"{receiver.url}/attempt/7").sid
    carrier.wait_idle()

    ledger = requests.get(f"{carrier.url}/ledger", timeout=10).json()

    entry = ledger["calls"][1]
    assert (ledger["accepted"], ledger["refused"], ledger["live"]) == (2, 0, 0)
    assert ledger["by_to"] == {ANSWERED: 2}
    assert (entry["sid"], entry["to"], entry["status"]) == (sid, ANSWERED, "completed")
    assert entry["status_callback"] == f"{receiver.url}/attempt/7"
    assert entry["webhooks"] == [{"status": "completed", "answer": 204}]
    assert ledger["calls"] == carrier.calls()


def test_the_ledger_counts_without_the_list(carrier, client):
    place(client)

    ledger = requests.get(f"{carrier.url}/ledger?counts=1", timeout=10).json()

    assert ledger["accepted"] == 1
    assert "calls" not in ledger


def test_an_emptied_ledger_forgets_live_calls_too(carrier, client, receiver):
    place(client, to=LONG, status_callback=receiver.url)

    assert requests.delete(f"{carrier.url}/ledger", timeout=10).status_code == 204

    carrier.wait_idle()
    assert (carrier.accepted(), carrier.calls(), receiver.told) == (0, [], [])


def test_the_ledger_has_no_other_methods(carrier):
    assert requests.post(f"{carrier.url}/ledger", timeout=10).status_code == 405


# -- starting and stopping ---------------------------------------------------------------------


def test_a_stopped_carrier_leaves_nothing_behind():
    threads = set(threading.enumerate())
    with running_carrier(account_sid=ACCOUNT, auth_token=TOKEN, speed=0.1) as carrier:
        form = {"To": ANSWERED, "From": FROM, "Twiml": "x", "StatusCallback": carrier.url}
        requests.post(calls_url(carrier), form, auth=(ACCOUNT, TOKEN), timeout=10)

    with pytest.raises(requests.ConnectionError):
        requests.get(f"{carrier.url}/ledger", timeout=10)
    assert set(threading.enumerate()) <= threads


@pytest.mark.parametrize("last_digits", ["17", "23"])
def test_a_stopping_carrier_lets_go_of_the_answers_it_holds_back(last_digits):
    with ThreadPoolExecutor() as clients, socket.create_server(("127.0.0.1", 0)) as silent:
        with running_carrier(account_sid=ACCOUNT, auth_token=TOKEN, speed=0.001) as carrier:
            form = {
                "To": f"+120255501{last_digits}",
                "From": FROM,
                "Twiml": "x",
                "StatusCallback": f"http://127.0.0.1:{silent.getsockname()[1]}/",
                "StatusCallbackEvent": "ringing",
            }
            answer = clients.submit(
                requests.post, calls_url(carrier), form, auth=(ACCOUNT, TOKEN), timeout=10
            )
            while not carrier.accepted():
                pass

        assert answer.result().status_code == 201


def test_waiting_for_a_call_that_does_not_end_times_out():
    with running_carrier(account_sid=ACCOUNT, auth_token=TOKEN, speed=0.1) as carrier:
        form = {"To": ANSWERED, "From": FROM, "Twiml": "x"}
        requests.post(calls_url(carrier), form, auth=(ACCOUNT, TOKEN), timeout=10)

        with pytest.raises(TimeoutError):
            carrier.wait_idle(timeout=0.05)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "carrier.example"])  # noqa: S104
def test_only_loopback_is_listened_on(host):
    with pytest.raises(NotLoopbackError):
        listen(host, 0)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--host", "0.0.0.0"], "not a loopback address"),  # noqa: S104
        (["--speed", "0"], "--speed must be a positive number"),
        (["--speed", "nan"], "--speed must be a positive number"),
        (["--late-answer", "long"], "--late-answer must be a positive number"),
        (["--port", "70000"], "Cannot listen"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(arguments, complaint):
    with pytest.raises(CommandError, match=complaint):
        call_command(runcarrier.Command(), *arguments)


def test_the_command_says_that_its_port_is_taken():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        with pytest.raises(CommandError, match=f"Cannot listen at 127.0.0.1:{port}"):
            call_command(runcarrier.Command(), "--port", port)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_stop(number):
    root = Path(__file__).parents[2]
    command = [sys.executable, "manage.py", "runcarrier", "--port", "0"]
    environment = os.environ | {"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": TOKEN}
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        line = process.stdout.readline()
        url = line.split(";")[0].split()[-1]
        date = requests.get(f"{url}/ledger", timeout=10).headers["date"]

        process.send_signal(number)

        assert process.wait(timeout=10) == 0
    assert "docs/carrier.md" in line
    assert parsedate_to_datetime(date)
