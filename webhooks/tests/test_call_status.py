"""POST /webhook/call-status: signed by our account or refused; then kept, and acted upon once."""

import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
import time_machine
from django.conf import settings
from django.db import OperationalError, connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from twilio.request_validator import RequestValidator

from schedules.models import CallSchedule
from tracking import reports
from tracking.models import CallLog
from tracking.tests.factories import CallLogFactory
from webhooks import inbox
from webhooks.models import WebhookEvent

PATH = "/webhook/call-status"
SID = "CA" + "0123456789abcdef" * 2
FORM = "application/x-www-form-urlencoded"
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
STAMP = "Thu, 15 Jan 2026 12:00:00 +0000"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_noon")]


@pytest.fixture
def _noon():
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def log(db):
    """A call that the carrier has taken."""
    return CallLogFactory(call_id=SID, schedule__status="running", timestamp=NOW)


def fields_of(status, **more):
    """What Twilio sends of the call; `...` leaves a field out."""
    fields = {
        "CallSid": SID,
        "AccountSid": settings.TWILIO_ACCOUNT_SID,
        "CallStatus": status,
        "Timestamp": STAMP,
        "To": "+15005550006",
        "From": "+15005550001",
        "Direction": "outbound-api",
    }
    return {name: value for name, value in (fields | more).items() if value is not ...}


def sign(body, query="", url=None):
    """Twilio's signature, over our public address."""
    url = url or settings.TWILIO_WEBHOOK_URL
    fields = QueryDict(body)
    validator = RequestValidator(settings.TWILIO_AUTH_TOKEN)
    return validator.compute_signature(f"{url}?{query}" if query else url, fields)


def report(status="ringing", *, query="", path=PATH, headers=None, content_type=FORM, **more):
    """Post a webhook as Twilio would."""
    body = urlencode(fields_of(status, **more), doseq=True)
    return post(
        body,
        query=query,
        path=path,
        content_type=content_type,
        headers={"X-Twilio-Signature": sign(body, query)} | (headers or {}),
    )


def post(body, *, query="", path=PATH, content_type=FORM, headers=None):
    client = Client(raise_request_exception=False)
    where = f"{path}?{query}" if query else path
    return client.generic("POST", where, body, content_type, headers=headers)


def everything():
    """All that a webhook may change."""
    tables = (CallLog, CallSchedule, WebhookEvent)
    return [list(table.objects.order_by("pk").values()) for table in tables]


def assert_refused(answer, status, code, before):
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.content
    assert everything() == before


# -- what is taken -------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_signed_webhook_moves_its_call_and_is_kept(log, slash):
    answer = report("in-progress", path=PATH + slash)

    assert (answer.status_code, answer.content) == (204, b"")
    log.refresh_from_db()
    assert (log.status, log.start_time) == ("in_progress", NOW)
    event = WebhookEvent.objects.get()
    assert (event.call_id, event.outcome, event.deliveries) == (SID, "applied", 1)
    assert event.payload["CallStatus"] == "in-progress"
    assert event.processed_at == NOW


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("initiated", "initiated"),
        ("ringing", "ringing"),
        ("in-progress", "in_progress"),
        ("completed", "completed"),
        ("busy", "busy"),
        ("no-answer", "no_answer"),
        ("failed", "failed"),
        ("canceled", "cancelled"),
    ],
)
def test_twilios_words_become_ours(log, word, status):
    report(word)

    log.refresh_from_db()
    assert log.status == status


def test_the_end_of_a_call_settles_its_schedule(log):
    report("completed", CallDuration="180")

    log.refresh_from_db()
    assert (log.duration, log.end_time) == (180, NOW)
    assert log.start_time == NOW - timedelta(seconds=180)
    log.schedule.refresh_from_db()
    assert (log.schedule.status, log.schedule.duration) == ("completed", 180)
    assert log.schedule.call_id == SID


def test_a_call_that_failed_says_why(log):
    report("failed", SipResponseCode="486")

    log.refresh_from_db()
    assert log.error_message == "The carrier could not connect the call (SIP 486)."
    log.schedule.refresh_from_db()
    assert (log.schedule.status, log.schedule.status_reason) == ("failed", log.error_message)


def test_the_attempts_id_finds_a_call_whose_sid_is_not_known_yet(log):
    CallLog.objects.update(call_id="", status="pending")

    report("ringing", query=urlencode({"attempt_id": log.pk}))

    log.refresh_from_db()
    assert (log.status, log.call_id) == ("ringing", SID)


def test_a_webhook_settles_a_call_of_which_nothing_was_known(log):
    CallLog.objects.update(
        call_id="", status="unknown", error_code="ambiguous", error_message="May have been placed."
    )

    report("completed", query=f"attempt_id={log.pk}", CallDuration="5")

    log.refresh_from_db()
    assert (log.status, log.error_message) == ("completed", "")


def test_a_state_that_we_do_not_know_is_kept_and_ignored(log):
    answer = report("teleported")

    assert answer.status_code == 204
    log.refresh_from_db()
    assert log.status == "queued"
    assert WebhookEvent.objects.get().outcome == "ignored"


# -- again, late and out of order ----------------------------------------------------------------


def test_a_repeated_webhook_is_counted_and_changes_nothing(log):
    report("ringing", SequenceNumber="1")
    log.refresh_from_db()
    first = log.last_updated

    with time_machine.travel(NOW + timedelta(minutes=1), tick=False):
        answer = report("ringing", SequenceNumber="1")

    assert answer.status_code == 204
    log.refresh_from_db()
    assert log.last_updated == first
    event = WebhookEvent.objects.get()
    assert (event.deliveries, event.outcome) == (2, "applied")


def test_a_late_ringing_does_not_reopen_a_finished_call(log):
    report("completed", CallDuration="60")

    answer = report("ringing")

    assert answer.status_code == 204
    log.refresh_from_db()
    assert (log.status, log.duration) == ("completed", 60)
    assert WebhookEvent.objects.get(call_status="ringing").outcome == "late"


@pytest.mark.parametrize(
    "order",
    [
        ("completed", "in-progress", "ringing", "initiated"),
        ("in-progress", "completed", "initiated", "ringing"),
        ("ringing", "initiated", "completed", "in-progress"),
        ("initiated", "ringing", "in-progress", "completed"),
    ],
)
def test_in_whatever_order_they_come_the_call_ends_the_same(log, order):
    for status in order:
        report(status, **({"CallDuration": "60"} if status == "completed" else {}))

    log.refresh_from_db()
    assert (log.status, log.duration, log.end_time) == ("completed", 60, NOW)
    log.schedule.refresh_from_db()
    assert log.schedule.status == "completed"


def test_of_two_ends_the_first_stands(log):
    report("completed", CallDuration="60")

    report("failed")

    log.refresh_from_db()
    assert log.status == "completed"


def test_another_call_cannot_take_over_an_attempt(log):
    other = "CA" + "f" * 32

    answer = report("completed", query=f"attempt_id={log.pk}", CallSid=other)

    assert answer.status_code == 204
    log.refresh_from_db()
    assert (log.status, log.call_id) == ("queued", SID)
    assert WebhookEvent.objects.get().outcome == "conflict"


def test_a_webhook_that_we_failed_to_process_is_taken_up_when_it_is_repeated(log, monkeypatch):
    def fail(*_, **__):
        raise OperationalError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "apply_report", fail)
        answer = report("ringing")
    assert (answer.status_code, answer.json()["error_code"]) == (503, "SYSTEM_003")
    assert WebhookEvent.objects.get().outcome == "received"

    answer = report("ringing")

    assert answer.status_code == 204
    log.refresh_from_db()
    assert log.status == "ringing"
    event = WebhookEvent.objects.get()
    assert (event.outcome, event.deliveries) == ("applied", 2)


@pytest.mark.django_db(transaction=True)
def test_a_webhook_is_kept_and_acted_upon_in_one_transaction(log):
    with CaptureQueriesContext(connection) as asked:
        report("ringing", query=f"attempt_id={log.pk}")

    said = [query["sql"].split()[0] for query in asked.captured_queries]
    assert said == ["BEGIN", "SELECT", "UPDATE", "INSERT", "COMMIT"]


@pytest.mark.django_db(transaction=True)
def test_the_end_of_a_call_is_one_transaction_that_writes_each_row_once(log):
    with CaptureQueriesContext(connection) as asked:
        report("completed", query=f"attempt_id={log.pk}", CallDuration="60")

    said = [query["sql"] for query in asked.captured_queries]
    assert [sql.split()[0] for sql in said].count("COMMIT") == 1
    written = [sql.split('"')[1] for sql in said if sql.startswith(("UPDATE", "INSERT"))]
    assert written == ["call_logs", "call_schedules", "audit_entries", "webhook_events"]
    assert len(said) <= 12


def moves_and_fails(times, error):
    """In the place of `apply_report`: does its work and fails, so often."""
    failures = [error] * times

    def apply(told):
        verdict = reports.apply_report(told)
        if failures:
            raise failures.pop()
        return verdict

    return apply


def test_a_webhook_that_fails_halfway_is_undone_kept_and_acted_upon_anew(log, monkeypatch):
    monkeypatch.setattr(inbox, "apply_report", moves_and_fails(1, KeyError("oops")))

    answer = report("completed", CallDuration="60")

    assert answer.status_code == 204
    log.refresh_from_db()
    assert (log.status, log.duration) == ("completed", 60)
    event = WebhookEvent.objects.get()
    assert (event.outcome, event.deliveries, event.processed_at) == ("applied", 1, NOW)


def test_a_webhook_that_cannot_be_acted_upon_is_kept_and_moves_nothing(log, monkeypatch):
    monkeypatch.setattr(inbox, "apply_report", moves_and_fails(9, KeyError("oops")))

    answer = report("completed", CallDuration="60")

    assert answer.status_code == 500
    log.refresh_from_db()
    log.schedule.refresh_from_db()
    assert (log.status, log.schedule.status) == ("queued", "running")
    event = WebhookEvent.objects.get()
    assert (event.outcome, event.processed_at) == ("received", None)
    assert event.payload["CallDuration"] == "60"


@pytest.mark.django_db(transaction=True)
def test_while_the_database_is_away_it_is_not_asked_twice(log, monkeypatch):
    asked = []

    def refuse():
        raise OperationalError("connection refused")

    def lose(_):
        asked.append(1)
        if connection.vendor == "sqlite":
            raise OperationalError("database is locked")
        monkeypatch.setattr(connection, "connect", refuse)
        connection.connection.close()
        raise OperationalError("the connection is lost")

    with monkeypatch.context() as patch:
        patch.setattr(inbox, "apply_report", lose)
        patch.setattr(inbox, "_keep", asked.append)
        answer = report("ringing")
    monkeypatch.undo()

    assert (answer.status_code, asked) == (503, [1])
    assert report("ringing").status_code == 204


@pytest.mark.django_db(transaction=True)
def test_the_same_webhook_four_times_at_once_is_kept_once(log):
    barrier = threading.Barrier(4)
    answers = []

    def run():
        barrier.wait()
        answers.append(report("completed", CallDuration="60").status_code)
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [204] * 4
    event = WebhookEvent.objects.get()
    assert (event.deliveries, event.outcome) == (4, "applied")
    log.refresh_from_db()
    assert (log.status, log.duration) == ("completed", 60)


# -- calls of others -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("direction", "call_type", "phone"),
    [("inbound", "inbound", "+15005550001"), ("outbound-dial", "outbound", "+15005550006")],
)
def test_a_call_of_our_account_that_nobody_scheduled_gets_a_log_of_its_own(
    direction, call_type, phone
):
    report("ringing", Direction=direction)
    report("completed", Direction=direction, CallDuration="9")

    log = CallLog.objects.get()
    assert (log.call_type, log.phone, log.status) == (call_type, phone, "completed")
    assert (log.schedule_id, log.created_by, log.duration) == (None, "", 9)


def test_two_webhooks_at_once_of_a_call_that_nobody_scheduled_both_count(monkeypatch):
    """The second one looks for the log before the first one has committed it."""
    report("ringing", Direction="inbound")
    find = reports._find

    def find_nothing(_):
        monkeypatch.setattr(reports, "_find", find)

    monkeypatch.setattr(reports, "_find", find_nothing)

    answer = report("completed", Direction="inbound", CallDuration="9")

    assert answer.status_code == 204
    assert CallLog.objects.get().status == "completed"
    assert set(WebhookEvent.objects.values_list("outcome", flat=True)) == {"created", "applied"}


def test_nobody_but_staff_sees_a_call_that_nobody_scheduled(api, operator):
    report("ringing", Direction="inbound")

    assert api.get("/schedule/tracking/logs").json()["count"] == 0
    api.force_authenticate(operator)
    assert api.get("/schedule/tracking/logs").json()["count"] == 1


def test_an_attempt_that_does_not_exist_does_not_hide_the_call(log):
    report("ringing", query="attempt_id=log_nothing")

    log.refresh_from_db()
    assert log.status == "ringing"


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("signature", ["", "x", "é" * 28, "x" * 10_000, "\x00"], ids=ascii)
def test_a_webhook_without_our_signature_changes_nothing(log, signature):
    before = everything()

    answer = report(headers={"X-Twilio-Signature": signature})

    assert_refused(answer, 403, "WEBHOOK_001", before)


def test_a_webhook_without_the_header_changes_nothing(log):
    before = everything()

    answer = post(urlencode(fields_of("completed")))

    assert_refused(answer, 403, "WEBHOOK_001", before)
    assert answer.json()["details"]["field"] == "X-Twilio-Signature"


@pytest.mark.parametrize("change", ["a field", "a further field", "the query", "the token"])
def test_a_signature_covers_the_query_and_every_field(log, change, settings):
    before = everything()
    body = urlencode(fields_of("ringing"))
    headers = {"X-Twilio-Signature": sign(body)}
    query = "attempt_id=log_0" if change == "the query" else ""
    if change == "a field":
        body = urlencode(fields_of("completed"))
    if change == "a further field":
        body += "&CallDuration=60"
    if change == "the token":
        settings.TWILIO_AUTH_TOKEN = "another"

    answer = post(body, query=query, headers=headers)

    assert_refused(answer, 403, "WEBHOOK_001", before)


@pytest.mark.parametrize("name", ["TWILIO_AUTH_TOKEN", "TWILIO_WEBHOOK_URL"])
def test_without_our_own_settings_nothing_counts_as_signed(log, name, settings):
    before = everything()
    body = urlencode(fields_of("ringing"))
    url = settings.TWILIO_WEBHOOK_URL if name == "TWILIO_AUTH_TOKEN" else ""
    signature = RequestValidator("").compute_signature(url, QueryDict(body))
    setattr(settings, name, "")

    answer = post(body, headers={"X-Twilio-Signature": signature})

    assert_refused(answer, 403, "WEBHOOK_001", before)


@pytest.mark.parametrize("account", [..., "", "AC" + "1" * 32])
def test_a_webhook_of_another_account_changes_nothing(log, account):
    before = everything()

    answer = report(AccountSid=account)

    assert_refused(answer, 403, "WEBHOOK_001", before)
    assert answer.json()["details"]["field"] == "AccountSid"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"CallSid": ...}, "CallSid"),
        ({"CallSid": ""}, "CallSid"),
        ({"CallSid": "CA1"}, "CallSid"),
        ({"CallSid": SID + "\n"}, "CallSid"),
        ({"CallSid": "CA" + "٣" * 32}, "CallSid"),
        ({"CallSid": "SM" + "0" * 32}, "CallSid"),
        ({"CallSid": SID[:-1] + "\x00"}, "CallSid"),
        ({"CallStatus": ...}, "CallStatus"),
        ({"CallStatus": ""}, "CallStatus"),
        ({"CallStatus": "x" * 33}, "CallStatus"),
        ({"CallStatus": "ring\x00ing"}, "CallStatus"),
        ({"To": "+1\x00"}, "To"),
        ({"Odd\x00": "1"}, "Odd\x00"),
        ({"query": "attempt_id=%00"}, "attempt_id"),
    ],
    ids=ascii,
)
def test_a_signed_webhook_that_cannot_be_used_changes_nothing(log, more, field):
    before = everything()
    status = more.get("CallStatus", "ringing")

    answer = report(status, **{name: value for name, value in more.items() if name != "CallStatus"})

    assert_refused(answer, 400, "WEBHOOK_002", before)
    assert answer.json()["details"]["field"] == field


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        f"{FORM}; charset=utf-7",
        f"{FORM}; charset=utf-16",
        f"{FORM}; charset=rot13",
        f"{FORM}; charset=nonsense",
    ],
)
def test_anything_but_a_form_in_utf_8_is_refused(log, content_type):
    before = everything()

    answer = report(content_type=content_type)

    assert_refused(answer, 415, "REQUEST_004", before)


def test_twilios_own_content_type_is_taken(log):
    assert report(content_type=f"{FORM}; charset=UTF-8").status_code == 204


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 403, "WEBHOOK_001"),
        (b"\xff\xfe\x00", 403, "WEBHOOK_001"),
        (b"%ff=%ff&%zz", 403, "WEBHOOK_001"),
        (b"CallSid=%ed%a0%80", 403, "WEBHOOK_001"),
        (b"&".join([b"a=1"] * 1500), 400, "REQUEST_008"),
        (b"a=" + b"x" * 3_000_000, 413, "REQUEST_006"),
        (b"{}", 403, "WEBHOOK_001"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_an_odd_body_changes_nothing(log, body, status, code):
    before = everything()

    answer = post(body, headers={"X-Twilio-Signature": "x"})

    assert_refused(answer, status, code, before)


@pytest.mark.parametrize(
    "query", ["%ff", "a=%zz", "attempt_id=%ff", "[x]=//[", "bodySHA256=1", "&&&", "=", "a=b=c", "é"]
)
def test_an_odd_query_neither_breaks_nor_passes(log, query):
    before = everything()

    answer = post(
        urlencode(fields_of("completed")), query=query, headers={"X-Twilio-Signature": "x"}
    )

    assert_refused(answer, 403, "WEBHOOK_001", before)


@pytest.mark.parametrize(
    "query", ["attempt_id=" + "x" * 5000, "attempt_id=%F0%9F%93%9E", "a=b&a=c"]
)
def test_an_odd_query_that_is_signed_finds_the_call_by_its_sid(log, query):
    answer = report("ringing", query=query)

    assert answer.status_code == 204
    log.refresh_from_db()
    assert log.status == "ringing"


@pytest.mark.parametrize(
    "host", ["evil.example", "polaris.example:8443", "a b", "[::1", "testserver:x", "", "é"]
)
def test_a_host_that_is_not_ours_is_a_bad_request(log, host):
    before = everything()

    answer = report(headers={"Host": host})

    assert_refused(answer, 400, "REQUEST_008", before)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "testserver:8443"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Proto": "http"},
        {"X-Forwarded-Port": "99999"},
    ],
)
def test_what_a_request_says_of_its_own_address_is_of_no_consequence(log, headers):
    assert report(headers=headers).status_code == 204


def test_a_signature_over_another_address_is_refused(log):
    before = everything()
    body = urlencode(fields_of("completed"))
    signature = sign(body, url="https://evil.example/webhook/call-status")

    answer = post(
        body,
        headers={"X-Twilio-Signature": signature, "X-Forwarded-Host": "evil.example"},
    )

    assert_refused(answer, 403, "WEBHOOK_001", before)


@pytest.mark.parametrize("port", [":443", ""])
def test_twilio_may_sign_with_the_standard_port_or_without(log, port):
    body = urlencode(fields_of("ringing"))
    url = f"https://polaris.example{port}/webhook/call-status"

    answer = post(body, headers={"X-Twilio-Signature": sign(body, url=url)})

    assert answer.status_code == 204


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "NONSENSE"])
def test_a_webhook_is_a_post(log, method):
    before = everything()

    answer = Client(raise_request_exception=False).generic(method, PATH)

    assert_refused(answer, 405, "REQUEST_003", before)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("60", 60),
        ("0", 0),
        ("999999999", 7 * 24 * 3600),
        ("9" * 5000, None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("²", None),
        ("", None),
        ("soon", None),
    ],
    ids=lambda value: ascii(value)[:12],
)
def test_a_duration_is_whole_seconds_or_nothing(log, raw, kept):
    answer = report("completed", CallDuration=raw)

    assert answer.status_code == 204
    log.refresh_from_db()
    assert (log.status, log.duration) == ("completed", kept)


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "yesterday",
        "1",
        ", , ,",
        "Mon, 99 Jan 2026 00:00:00 +0000",
        "Fri, 31 Dec 9999 23:59:59 -2359",
        "Thu, 15 Jan 2026 12:00:00 +99999999999",
        "Thu, 15 Jan 99999999999 12:00:00 +0000",
        "9" * 5000,
        "\u0661",
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_timestamp_that_is_none_counts_as_now(log, raw):
    answer = report("completed", Timestamp=raw, CallDuration="60")

    assert answer.status_code == 204
    log.refresh_from_db()
    assert log.end_time == NOW


# -- rotation, replays and floods ----------------------------------------------------------------


def sign_with(token, body):
    return RequestValidator(token).compute_signature(settings.TWILIO_WEBHOOK_URL, QueryDict(body))


@pytest.mark.parametrize("token", ["the one before", "the next one"])
def test_while_the_token_is_rotated_both_count(log, settings, token):
    settings.TWILIO_WEBHOOK_TOKENS = ["the one before", "the next one"]
    body = urlencode(fields_of("ringing"))

    answer = post(body, headers={"X-Twilio-Signature": sign_with(token, body)})
    own = report("completed")

    assert (answer.status_code, own.status_code) == (204, 204)


def test_a_token_that_is_no_longer_listed_counts_no_more(log, settings):
    settings.TWILIO_WEBHOOK_TOKENS = ["the next one"]
    before = everything()
    body = urlencode(fields_of("ringing"))

    answer = post(body, headers={"X-Twilio-Signature": sign_with("the one before", body)})

    assert_refused(answer, 403, "WEBHOOK_001", before)


def test_without_a_token_of_our_own_a_listed_one_still_counts(log, settings):
    settings.TWILIO_AUTH_TOKEN, settings.TWILIO_WEBHOOK_TOKENS = "", ["the next one"]
    body = urlencode(fields_of("ringing"))

    assert (
        post(body, headers={"X-Twilio-Signature": sign_with("the next one", body)}).status_code
        == 204
    )


def test_an_empty_token_never_counts(log, settings):
    settings.TWILIO_WEBHOOK_TOKENS = [""]
    before = everything()
    body = urlencode(fields_of("ringing"))

    answer = post(body, headers={"X-Twilio-Signature": sign_with("", body)})

    assert_refused(answer, 403, "WEBHOOK_001", before)


def recorded(status="completed", **more):
    """A webhook as it went over the wire, to be sent again."""
    body = urlencode(fields_of(status, SequenceNumber="3", **more))
    return body, sign(body)


def replay(recording, **changes):
    body, signature = recording
    return post(body, headers={"X-Twilio-Signature": signature}, **changes)


@pytest.mark.parametrize("ago", [timedelta(minutes=5), timedelta(hours=23)], ids=str)
def test_a_replay_of_today_changes_nothing_of_the_call(log, ago):
    recording = recorded(CallDuration="60")
    replay(recording)
    before = [list(table.objects.values()) for table in (CallLog, CallSchedule)]

    with time_machine.travel(NOW + ago, tick=False):
        answer = replay(recording)

    assert answer.status_code == 204
    assert [list(table.objects.values()) for table in (CallLog, CallSchedule)] == before
    assert WebhookEvent.objects.get().deliveries == 2


def test_a_replay_after_a_day_is_refused(log):
    recording = recorded()
    replay(recording)
    before = everything()

    with time_machine.travel(NOW + timedelta(days=1, seconds=1), tick=False):
        answer = replay(recording)

    assert_refused(answer, 400, "WEBHOOK_003", before)


def test_a_replay_makes_no_ghost_where_everything_of_the_call_was_forgotten(log):
    recording = recorded()
    replay(recording)
    WebhookEvent.objects.all().delete()
    log.delete()
    before = everything()

    with time_machine.travel(NOW + timedelta(days=30), tick=False):
        answer = replay(recording)

    assert_refused(answer, 400, "WEBHOOK_003", before)


def test_a_replay_after_its_raw_event_was_pruned_moves_nothing(log):
    recording = recorded("ringing")
    replay(recording)
    report("completed", CallDuration="60")
    WebhookEvent.objects.all().delete()
    before = [list(table.objects.values()) for table in (CallLog, CallSchedule)]

    answer = replay(recording)

    assert answer.status_code == 204
    assert [list(table.objects.values()) for table in (CallLog, CallSchedule)] == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"CallStatus": ["completed", "completed"]}, "CallStatus"),
        ({"SequenceNumber": ["3", "3"]}, "SequenceNumber"),
        ({"SequenceNumber": [f"3Timestamp{STAMP}"], "Timestamp": []}, "SequenceNumber"),
        (
            {"SequenceNumber": [f"3Timestamp{STAMP}To+15005550006"], "Timestamp": [], "To": []},
            "SequenceNumber",
        ),
    ],
    ids=["a value twice", "a number twice", "the time within the number", "more within it"],
)  # fmt: skip
def test_a_replay_with_changes_that_no_signature_covers_is_refused(log, changes, field):
    """A signature covers names and values as one run of text, and values that differ."""
    raw, signature = recorded("completed")
    fields = QueryDict(raw, mutable=True)
    for name, values in changes.items():
        fields.setlist(name, values)
    changed = fields.urlencode()
    assert sign(changed) == signature
    before = everything()

    answer = post(changed, headers={"X-Twilio-Signature": signature})

    assert_refused(answer, 400, "WEBHOOK_002", before)
    assert answer.json()["details"]["field"] == field


def test_a_replay_under_other_headers_is_the_same_webhook(log):
    recording = recorded("ringing")
    replay(recording)

    body, signature = recording
    headers = {"X-Twilio-Signature": signature, "I-Twilio-Idempotency-Token": "another"}
    answer = post(body, headers=headers, content_type=f"{FORM}; charset=UTF-8")

    assert answer.status_code == 204
    assert WebhookEvent.objects.get().deliveries == 2


@pytest.mark.parametrize("headers", [{}, {"X-Twilio-Signature": "x" * 28}], ids=["none", "wrong"])
def test_an_unsigned_flood_does_not_ask_the_database(log, headers, django_assert_num_queries):
    body = urlencode(fields_of("completed"))

    with django_assert_num_queries(0):
        for _ in range(10):
            assert post(body, headers=headers).status_code == 403


def test_a_body_is_not_even_read_where_nothing_signs_it(log):
    answer = post(b"&".join([b"a=1"] * 1500))

    assert (answer.status_code, answer.json()["error_code"]) == (403, "WEBHOOK_001")
