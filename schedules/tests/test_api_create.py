"""POST /schedule/: what is taken, what is refused, and that a refusal writes nothing."""

import json
import re
from datetime import UTC, datetime

import pytest
import time_machine
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from polaris.errors import SchedulerFailure
from schedules import services
from schedules.models import ActiveSchedule, CallSchedule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_winter")]

SHORT = {
    "phone": "+1234567890",
    "scheduled_time": "2026-01-15T10:00:00Z",
    "description": "Test call",
}
EXAMPLE = SHORT | {
    "timezone": "America/New_York",
    "description": "Follow-up call",
    "call_type": "outbound",
    "repeat_config": {"enabled": True, "frequency": "daily", "end_date": "2026-02-15T10:00:00Z"},
}


@pytest.fixture
def _winter():
    with time_machine.travel(datetime(2026, 1, 10, 9, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def create(api):
    """Sends the short example with some fields changed; `...` leaves a field out."""

    def send(**changes):
        body = {key: value for key, value in (SHORT | changes).items() if value is not ...}
        # json.dumps writes what no renderer can: lone surrogates.
        return api.generic("POST", "/schedule/", json.dumps(body), "application/json")

    return send


@pytest.fixture
def send_raw(api):
    """Sends bytes as they are."""

    def send(body, content_type="application/json"):
        return api.generic("POST", "/schedule/", body, content_type)

    return send


def assert_refused(answer, code, field, status=400):
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.content
    assert answer.json()["details"]["field"] == field
    assert not CallSchedule.objects.exists()
    assert not ActiveSchedule.objects.exists()


@pytest.mark.parametrize("body", [EXAMPLE, SHORT], ids=["the example", "the test's"])
@pytest.mark.parametrize("path", ["/schedule/", "/schedule"])
def test_the_contracts_bodies_are_answered_as_the_contract_says(api, body, path):
    answer = api.post(path, body, format="json")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "message": "Call scheduled successfully",
        "schedule_id": CallSchedule.objects.get().pk,
        "next_execution": "2026-01-15T10:00:00Z",
    }


def test_a_new_schedule_is_scheduled_and_its_first_call_armed(create, client_user):
    answer = create()

    schedule = CallSchedule.objects.get(pk=answer.json()["schedule_id"])
    armed = ActiveSchedule.objects.get()
    assert schedule.status == "scheduled"
    assert schedule.created_by == f"user_{client_user.pk}"
    assert armed.schedule == schedule
    assert armed.next_execution == armed.occurrence == datetime(2026, 1, 15, 10, tzinfo=UTC)


def test_what_is_left_out_gets_its_default(create, settings):
    settings.SCHEDULER_TIMEZONE = "Europe/Helsinki"

    create(description=...)

    schedule = CallSchedule.objects.get()
    assert (schedule.timezone, schedule.call_type) == ("Europe/Helsinki", "outbound")
    assert schedule.repeat_config is None
    texts = ("description", "notes", "user_profile_id", "agent_instance_id")
    assert [getattr(schedule, name) for name in texts] == ["", "", "", ""]


@pytest.mark.parametrize(("sent", "kept"), [("Ünïcode 📞", "Ünïcode 📞"), ("", ""), (None, "")])
@pytest.mark.parametrize("name", ["description", "notes", "user_profile_id", "agent_instance_id"])
def test_the_optional_texts_are_kept(create, name, sent, kept):
    answer = create(**{name: sent})

    assert answer.status_code == 200
    assert getattr(CallSchedule.objects.get(), name) == kept


@pytest.mark.parametrize(
    ("scheduled_time", "zone", "instant"),
    [
        ("2026-01-15T10:00:00Z", "America/New_York", "2026-01-15T10:00:00Z"),
        ("2026-01-15T10:00:00+05:45", "UTC", "2026-01-15T04:15:00Z"),
        ("2026-01-15T10:00:00-0500", "UTC", "2026-01-15T15:00:00Z"),
        ("2026-01-15T10:00:00", "America/New_York", "2026-01-15T15:00:00Z"),
        ("2026-01-15T10:00", "Asia/Kathmandu", "2026-01-15T04:15:00Z"),
        ("2026-01-15 10:00:00", "UTC", "2026-01-15T10:00:00Z"),
        ("2026-01-15T10:00:00.123456Z", "UTC", "2026-01-15T10:00:00.123000Z"),
        ("2026-03-08T02:30:00", "America/New_York", "2026-03-08T07:30:00Z"),
        ("2026-11-01T01:30:00", "America/New_York", "2026-11-01T05:30:00Z"),
        ("2026-11-01T01:30:00-05:00", "America/New_York", "2026-11-01T06:30:00Z"),
        ("2026-01-10T09:00:00Z", "UTC", "2026-01-10T09:00:00Z"),
    ],
    ids=[
        "an instant",
        "an offset",
        "an offset without a colon",
        "a local time",
        "a local time to the minute",
        "a blank for the T",
        "microseconds are cut",
        "a local time that does not exist",
        "a local time that comes twice",
        "the second of the two",
        "now",
    ],
)
def test_a_time_is_an_instant_or_a_local_time(create, scheduled_time, zone, instant):
    answer = create(scheduled_time=scheduled_time, timezone=zone)

    assert answer.json()["next_execution"] == instant


def test_a_rule_may_begin_later_than_its_anchor(create):
    answer = create(repeat_config={"frequency": "weekly", "weekdays": ["mon"]})

    assert answer.json()["next_execution"] == "2026-01-19T10:00:00Z"


@pytest.mark.parametrize("nothing", [None, {}, {"enabled": False}])
def test_a_repeat_config_may_say_that_nothing_repeats(create, nothing):
    create(repeat_config=nothing)

    assert not CallSchedule.objects.get().is_recurring


@pytest.mark.parametrize(
    "phone",
    [
        "1234567890",
        "+0123456789",
        "+1",
        "+12",
        "+999123456",
        "+1234567890123456",
        "+1 234 567 890",
        "+1-234-567-890",
        "tel:+1234567890",
        "+1234567890;ext=5",
        "+１２３４５６７８９０",  # noqa: RUF001 (full-width digits)
        "+٣٤٥٦٧٨٩٠١٢",
        "+123456789²",
        "＋1234567890",  # noqa: RUF001 (a full-width plus)
        "+1234567890\x00",
        "\ud800",
        "+" + "1" * 100_000,
        "somebody",
        1234567890,
        True,
        ["+1234567890"],
        {"number": "+1234567890"},
    ],
    ids=ascii,
)
def test_a_phone_that_is_not_e164_is_refused(create, phone):
    assert_refused(create(phone=phone), "SCHEDULE_001", "phone")


@pytest.mark.parametrize("field", ["phone", "scheduled_time"])
@pytest.mark.parametrize("nothing", [..., None, "", "  "], ids=ascii)
def test_a_required_field_is_missed(create, field, nothing):
    assert_refused(create(**{field: nothing}), "SCHEDULE_003", field)


@pytest.mark.parametrize("nothing", [None, ""])
def test_a_time_zone_that_is_sent_is_not_empty(create, nothing):
    assert_refused(create(timezone=nothing), "SCHEDULE_003", "timezone")


@pytest.mark.parametrize(
    "scheduled_time",
    [
        "2026-01-10T08:59:59.999Z",
        "2026-01-10T09:00:00+00:01",
        "2024-01-15T10:00:00Z",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
        "10000-01-01T00:00:00Z",
        "2026-02-30T10:00:00Z",
        "2026-02-15T24:00:00Z",
        "2026-02-15T10:00:60Z",
        "2026-02-15T10:00:00+24:00",
        "2026-02-15T10:00:00+99:99",
        "2026-02-15",
        "20260215T100000Z",
        "2026-W07-1T10:00:00Z",
        "２０２６-02-15T10:00:00Z",  # noqa: RUF001 (full-width digits)
        "tomorrow",
        "x" * 100_000,
        "2026-02-15T10:00:00Z\x00",
        1893456000,
        True,
        [],
    ],
    ids=ascii,
)
def test_a_time_that_is_past_or_none_is_refused(create, scheduled_time):
    assert_refused(create(scheduled_time=scheduled_time), "SCHEDULE_002", "scheduled_time")


@pytest.mark.parametrize("repeat_config", [None, {"frequency": "daily"}, {"frequency": "hourly"}])
@pytest.mark.parametrize(
    ("scheduled_time", "zone"),
    [
        ("9999-12-31T23:59:59Z", "Pacific/Kiritimati"),
        ("9999-12-31T23:59:59", "America/New_York"),
        ("0001-01-01T00:00:00Z", "America/New_York"),
    ],
)
def test_the_calendar_has_ends(create, scheduled_time, zone, repeat_config):
    answer = create(scheduled_time=scheduled_time, timezone=zone, repeat_config=repeat_config)

    assert_refused(answer, "SCHEDULE_002", "scheduled_time")


@pytest.mark.parametrize(
    "zone",
    [
        "Mars/Olympus",
        "utc",
        "localtime",
        "Factory",
        "posix/UTC",
        "../../etc/passwd",
        "Europe",
        "+02:00",
        "UTC\x00",
        "\ud800",
        "x" * 1000,
        5,
        [],
    ],
    ids=ascii,
)
def test_an_unknown_zone_is_refused(create, zone):
    assert_refused(create(timezone=zone), "SCHEDULE_002", "timezone")


@pytest.mark.parametrize(
    ("repeat_config", "field"),
    [
        ({"frequency": "daily", "end_date": "2026-01-15T09:59:59Z"}, "repeat_config.end_date"),
        ({"frequency": "daily", "end_date": "2026-01-14"}, "repeat_config.end_date"),
        ({"frequency": "sometimes"}, "repeat_config.frequency"),
        ({"enabled": True}, "repeat_config.frequency"),
        ({"enabled": "yes", "frequency": "daily"}, "repeat_config.enabled"),
        ({"frequency": "daily", "interval": 0}, "repeat_config.interval"),
        ({"frequency": "daily", "interval": 1.5}, "repeat_config.interval"),
        ({"frequency": "daily", "interval": 10**4000}, "repeat_config.interval"),
        ({"frequency": "daily", "count": True}, "repeat_config.count"),
        ({"frequency": "weekly", "weekdays": []}, "repeat_config.weekdays"),
        ({"frequency": "weekly", "weekdays": ["\ud800"]}, "repeat_config.weekdays"),
        ({"frequency": "daily", "weekdays": ["mon"]}, "repeat_config.weekdays"),
        ({"frequenzy": "daily"}, "repeat_config.frequenzy"),
        ({"\ud800": 1}, "repeat_config.\\ud800"),
        ({"frequency": "daily", "end_date": "\ud800"}, "repeat_config.end_date"),
        ("daily", "repeat_config"),
        ([], "repeat_config"),
        (True, "repeat_config"),
    ],
)
def test_a_repeat_config_that_cannot_be_followed_is_refused(create, repeat_config, field):
    assert_refused(create(repeat_config=repeat_config), "SCHEDULE_006", field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"call_type": "inbound"}, "call_type"),
        ({"call_type": None}, "call_type"),
        ({"call_type": "\ud800"}, "call_type"),
        ({"call_type": ["outbound"]}, "call_type"),
        ({"description": "x" * 2001}, "description"),
        ({"description": {"a": 1}}, "description"),
        ({"description": "a\x00b"}, "description"),
        ({"notes": "x" * 10_001}, "notes"),
        ({"notes": "\udfff"}, "notes"),
        ({"user_profile_id": "x" * 129}, "user_profile_id"),
        ({"agent_instance_id": True}, "agent_instance_id"),
        ({"telephone": "+1234567890"}, "telephone"),
        ({"a\x00": 1}, "a\x00"),
        ({"\ud800": 1}, "\\ud800"),
        ({"x" * 100_000: 1}, "x" * 499 + "…"),
    ],
    ids=lambda value: ascii(value)[:60],
)
def test_any_other_field_that_is_unknown_or_wrong_is_refused(create, changes, field):
    code = "SCHEDULE_003" if changes == {"call_type": None} else "SCHEDULE_007"

    assert_refused(create(**changes), code, field)


def test_a_misspelt_field_is_told_its_right_name(create):
    answer = create(descripton="Follow-up")

    assert answer.json()["details"]["issue"] == "Unknown field. Did you mean description?"


def test_of_several_faults_the_first_is_in_the_details_and_all_are_in_the_message(create):
    answer = create(phone=..., scheduled_time=..., notes="x" * 10_001)

    body = answer.json()
    assert body["details"] == {"field": "phone", "issue": "This field is required."}
    assert all(name in body["message"] for name in ("phone: ", "scheduled_time: ", "notes: "))


def test_thousands_of_unknown_fields_are_refused_quickly_and_briefly(create):
    answer = create(**{f"unknown_{number}": number for number in range(50_000)})

    assert answer.status_code == 400
    assert answer.json()["details"]["field"] == "unknown_0"
    assert len(answer.content) < 2000


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "SCHEDULE_003"),
        (b"null", "SCHEDULE_003"),
        (b"{}", "SCHEDULE_003"),
        (b"[]", "SCHEDULE_007"),
        (b'"text"', "SCHEDULE_007"),
        (b"5", "SCHEDULE_007"),
        (b"true", "SCHEDULE_007"),
        (b"{", "REQUEST_001"),
        (b"{'phone': 1}", "REQUEST_001"),
        (b'{"phone": NaN}', "REQUEST_001"),
        (b'{"phone": -Infinity}', "REQUEST_001"),
        (b'{"phone": 1e999, "scheduled_time": "2026-01-15T10:00:00Z"}', "SCHEDULE_001"),
        (b'{"phone": ' + b"9" * 5000 + b"}", "REQUEST_001"),
        (b"\xef\xbb\xbf{}", "REQUEST_001"),
        (b'{"phone": "\xff"}', "REQUEST_001"),
        (b"\x00", "REQUEST_001"),
        (b"[" * 100_000, "REQUEST_001"),
        (b'{"a":' * 100_000, "REQUEST_001"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_a_body_that_is_no_schedule_is_refused(send_raw, body, code):
    answer = send_raw(body)

    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert answer.json()["details"]["field"] in {"body", "phone"}
    assert not CallSchedule.objects.exists()


@pytest.mark.parametrize("field", ["phone", "call_type", "repeat_config", "unknown"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_no_depth_of_nesting_breaks_the_server(send_raw, field, opening, closing):
    depths = [*range(880, 1000, 5), 10, 100, 5000]

    answers = [send_raw(f'{{"{field}": {opening * n}1{closing * n}}}'.encode()) for n in depths]

    assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(400, "error")}


def test_a_body_larger_than_the_server_reads_is_refused(send_raw):
    assert_refused(send_raw(b" " * 3_000_000), "REQUEST_006", "body", status=413)


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "json",
        "é",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json; charset=unicode_escape",
        "application/json; charset=rot13",
        "application/json; charset=zlib",
        "application/json; charset=nonsense",
    ],
)
def test_anything_but_json_in_utf_8_is_an_unsupported_media_type(send_raw, content_type):
    answer = send_raw(b'{"phone": "+1234567890"}', content_type)

    assert_refused(answer, "REQUEST_004", "Content-Type", status=415)


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8", '"utf-8"', "us-ascii"])
def test_the_charset_may_be_said(send_raw, charset):
    answer = send_raw(b"{}", f"application/json; charset={charset}")

    assert answer.status_code == 400


def test_what_the_api_shows_of_a_schedule_can_be_sent_to_it(create, api):
    shown = api.get(f"/schedule/{create().json()['schedule_id']}").json()

    answer = api.post("/schedule/", shown | {"created_by": "user_0"}, format="json")

    copy = CallSchedule.objects.get(pk=answer.json()["schedule_id"])
    assert copy.pk != shown["id"]
    assert copy.created_by == shown["created_by"]


@pytest.mark.django_db(transaction=True)
def test_three_rows_are_written_in_one_transaction_and_nothing_is_looked_up(create):
    create()  # with it the process takes its share of what may be written in this minute

    with CaptureQueriesContext(connection) as asked:
        create()

    said = [query["sql"] for query in asked.captured_queries]
    inserts = ["INSERT", "INSERT", "INSERT"]
    if connection.vendor == "postgresql":
        assert [sql.split()[0] for sql in said] == ["WITH"]
        assert re.findall("INSERT(?= INTO)", said[0]) == inserts
    else:
        assert [sql.split()[0] for sql in said] == ["BEGIN", *inserts, "COMMIT"]


def test_a_failing_scheduler_takes_the_schedule_back(create, monkeypatch):
    def fail(*_, **__):
        raise SchedulerFailure

    monkeypatch.setattr(services, "_arm_first", fail)

    assert_refused(create(), "SCHEDULE_008", "scheduled_time", status=500)


@pytest.mark.parametrize("model", [CallSchedule, ActiveSchedule])
def test_a_failing_database_says_so_and_keeps_nothing(create, model):
    def fail(execute, sql, params, many, context):
        if sql.startswith(f'INSERT INTO "{model._meta.db_table}"'):
            raise OperationalError("the disk is full")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(fail):
        answer = create()

    assert_refused(answer, "SYSTEM_003", "", status=503)
    assert "disk" not in answer.content.decode()
