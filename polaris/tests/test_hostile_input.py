"""Hostile input with the answer that it gets; docs/security.md names this table.

A 4xx in the error format, and nothing has changed. What only the wire can say is in
test_hostile_http.py, what is hostile to one rule alone in the tests of that rule."""

import json

import pytest
from rest_framework.test import APIClient

from polaris.tests.test_error_catalogue import assert_formatted
from schedules.models import ActiveSchedule, CallSchedule
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.models import CallLog

pytestmark = pytest.mark.django_db

PHONE, TIME = "+14155550100", "2999-01-15T10:00:00Z"
SOUND = {"phone": PHONE, "scheduled_time": TIME}


def raw(more: str) -> bytes:
    """A sound body with something more, written as it stands."""
    return (json.dumps(SOUND)[:-1] + "," + more + "}").encode()


BODIES = {
    # JSON
    "a name twice": (raw('"phone": "+15005550006"'), "REQUEST_001"),
    "a name twice, deep inside": (
        raw('"repeat_config": {"frequency": "daily", "frequency": "hourly"}'), "REQUEST_001",
    ),
    "a name twice, once escaped": (raw(r'"\u0070hone": "+15005550006"'), "REQUEST_001"),
    "NaN": (raw('"notes": NaN'), "REQUEST_001"),
    "infinity": (raw('"notes": -Infinity'), "REQUEST_001"),
    "a number without end": (raw(f'"notes": {"9" * 6000}'), "REQUEST_001"),
    "an exponent without end": (raw('"repeat_config": {"frequency": "daily", "count": 1e400}'),
        "SCHEDULE_006"),
    "a great count": (raw('"repeat_config": {"frequency": "daily", "count": 1e18}'),
        "SCHEDULE_006"),
    "deep nesting": (raw('"repeat_config": ' + '{"a":' * 5000 + "1" + "}" * 5000), "REQUEST_001"),
    "a byte order mark": (b"\xef\xbb\xbf" + raw('"notes": ""'), "REQUEST_001"),
    "UTF-16": (json.dumps(SOUND).encode("utf-16"), "REQUEST_001"),
    "bytes that are no UTF-8": (raw('"notes": "x"').replace(b"x", b"\xc3\x28"), "REQUEST_001"),
    "an overlong slash": (raw('"notes": "x"').replace(b"x", b"\xc0\xaf"), "REQUEST_001"),
    "a comment": (raw('"notes": "" /* x */'), "REQUEST_001"),
    "a trailing comma": (raw('"notes": "",'), "REQUEST_001"),
    "two values": (json.dumps(SOUND).encode() * 2, "REQUEST_001"),
    "__proto__": (raw('"__proto__": {"is_staff": true}'), "SCHEDULE_007"),
    "somebody else's row": (raw('"owner": "user_1"'), "SCHEDULE_007"),
    # strings
    "a null in a description": (raw(r'"description": "a\u0000b"'), "SCHEDULE_007"),
    "a null in an id": (raw(r'"user_profile_id": "\u0000"'), "SCHEDULE_007"),
    "a lone surrogate": (raw(r'"description": "\ud800"'), "SCHEDULE_007"),
    "a lone surrogate as a name": (raw(r'"\udfff": 1'), "SCHEDULE_007"),
    "a description of a megabyte": (raw(f'"description": "{"x" * 1_000_000}"'), "SCHEDULE_007"),
    "a list for a string": (raw('"description": ["x"]'), "SCHEDULE_007"),
    "an object for a string": (raw('"notes": {"$gt": ""}'), "SCHEDULE_007"),
    # phones
    **{
        f"phone {ascii(phone)[:30]}": (raw('"notes": ""').replace(
            json.dumps(PHONE).encode(), json.dumps(phone).encode()), "SCHEDULE_001")
        for phone in (
            "+1415555010o", "+\u0661\u0664\u0661\u0665\u0665\u0665\u0665\u0660",
            "\uff0b14155550100",
            "+1 415 555 0100", "+14155550100;ext=1",
            "tel:+14155550100", "sip:victim@evil.example", "+1415555\u20620100",
            "+14155550100\u0000",
            "+" + "1" * 100_000, "+1415555\u202e0010", "client:agent", "0014155550100", 14155550100,
            {"in": [PHONE]}, [PHONE], True, "' OR 1=1 --",
        )
    },
    # times
    **{
        f"time {ascii(time)[:30]}": (raw('"notes": ""').replace(
            json.dumps(TIME).encode(), json.dumps(time).encode()), "SCHEDULE_002")
        for time in (
            "2999-02-30T10:00:00Z", "2999-01-15T24:61:00Z", "0000-01-01T00:00:00Z",
            "-2999-01-15",
            "99999-01-15T10:00:00Z", "9999-12-31T23:59:59-23:59",
            "2999-01-15T10:00:00+99:00", "now",
            "2999-01-15", "\u0662\u0669\u0669\u0669-01-15T10:00:00Z", 32472144000, 1e308,
            "2999-W03-2T10:00:00Z\u0000",
            "2999-01-15T10:00:00Z" * 1000, "0001-01-01T00:00:00+14:00", {"$date": 0},
        )
    },
    # zones
    **{
        f"zone {ascii(zone)[:30]}": (raw(f'"timezone": {json.dumps(zone)}'), "SCHEDULE_002")
        for zone in ("../../etc/passwd", "/etc/localtime", "UTC\u0000", "utc", "Berlin",
            "EUROPE/BERLIN", "x" * 100_000, "+02:00", "posixrules", 5, ["UTC"])
    },
    # rules
    **{
        f"rule {ascii(rule)[:44]}": (raw(f'"repeat_config": {json.dumps(rule)}'), "SCHEDULE_006")
        for rule in (
            {"cron": "* * * * * *"}, {"cron": "*/0 * * * *"}, {"cron": "0 0 30 2 *"},
            {"cron": ",".join(["0-59"] * 5000) + " * * * *"}, {"cron": "@reboot"},
            {"cron": "0 9 * * 1; rm -rf /"}, {"cron": "\u0660 9 * * *"}, {"cron": "1e9 * * * *"},
            {"rrule": "FREQ=SECONDLY"}, {"rrule": "FREQ=DAILY;INTERVAL=" + "9" * 400},
            {"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, {"rrule": "FREQ=DAILY;BYSETPOS=0"},
            {"rrule": "FREQ=DAILY;" * 5000}, {"rrule": "FREQ=DAILY;COUNT=-1"},
            {"rrule": "FREQ=MONTHLY;BYDAY=" + ",".join(["99999MO"] * 1000)},
            {"rrule": "FREQ=DAILY\r\nDTSTART:19700101T000000Z"},
            {"frequency": "hourly", "interval": 0}, {"frequency": "hourly", "interval": -1},
            {"frequency": "hourly", "interval": 10**30}, {"frequency": "daily", "count": 0},
            {"frequency": "daily", "exdates": ["2999-01-16"] * 100_000},
            {"frequency": "weekly", "weekdays": ["monday"] * 10_000},
            {"frequency": "daily", "skip_holidays": "../../DE"}, {"frequency": ["daily"]},
            {"frequency": "daily", "end_date": "0001-01-01"}, [], "daily", 7,
        )
    },
}  # fmt: skip

QUERIES = {
    "a parameter of nobody's": ("/schedule/?admin=true", 400, "REQUEST_007"),
    "a look-up of Django's": ("/schedule/?created_by__startswith=u", 400, "REQUEST_007"),
    "a relation of Django's": (
        "/schedule/tracking/logs?schedule__created_by=user_1", 400, "REQUEST_007",
    ),
    "a parameter twice": ("/schedule/?limit=1&limit=2", 400, "REQUEST_007"),
    "a page without end": ("/schedule/?limit=" + "9" * 400, 400, "REQUEST_007"),
    "a limit below nothing": ("/schedule/?limit=-1", 400, "REQUEST_007"),
    "an offset beyond all": ("/schedule/?offset=" + "9" * 30, 400, "REQUEST_007"),
    "another alphabet's digits": ("/schedule/?limit=%D9%A3", 400, "REQUEST_007"),
    "an order by a secret": ("/schedule/?ordering=created_by__password", 400, "REQUEST_007"),
    "an order by chance": ("/schedule/?ordering=%3F", 400, "REQUEST_007"),
    "a null": ("/schedule/?status=%00", 400, "REQUEST_007"),
    "a null in an id": ("/schedule/tracking/logs?schedule_id=%00", 400, "REQUEST_007"),
    "SQL": ("/schedule/?status=x'%20OR%20'1'='1", 400, "REQUEST_007"),
    "bytes that are no UTF-8": ("/schedule/?status=%ff%fe", 400, "REQUEST_007"),
    "a date that is none": ("/schedule/?from=2030-13-01", 400, "REQUEST_007"),
    "the last instant there is": (
        "/schedule/?from=9999-12-31T23:59:59-23:59", 400, "REQUEST_007",
    ),
    "a span turned round": ("/schedule/?from=2030-02-01&to=2030-01-01", 400, "REQUEST_007"),
    "a thousand parameters": (
        "/schedule/?" + "&".join(f"a{n}=1" for n in range(1001)), 400, "REQUEST_008",
    ),
    # ids in paths
    "an id of nobody's": ("/schedule/schedule_0", 404, "SCHEDULE_004"),
    "an id with a null": ("/schedule/schedule_%00", 404, "REQUEST_002"),
    "an id that climbs": ("/schedule/..%2f..%2fadmin", 404, "REQUEST_002"),
    "an id of bytes": ("/schedule/%ff", 404, "REQUEST_002"),
    "an id without end": ("/schedule/" + "x" * 3000, 404, "SCHEDULE_004"),
    "an id that is a pattern": ("/schedule/*", 404, "REQUEST_002"),
    "an id in right-to-left": ("/schedule/%E2%80%AEeludehcs", 404, "REQUEST_002"),
    "a log of nobody's": ("/schedule/tracking/logs/log_'--", 404, "REQUEST_002"),
    "too many occurrences": (
        "/schedule/{id}/occurrences?from=0001-01-01&to=9999-12-31", 400, "REQUEST_007",
    ),
    "a preview without end": ("/schedule/{id}/preview?occurrences=99999999", 400, "REQUEST_007"),
}  # fmt: skip

HEADERS = {
    "no scheme": ({"Authorization": "x"}, 401, "AUTH_001"),
    "a scheme alone": ({"Authorization": "Bearer"}, 401, "AUTH_003"),
    "three parts": ({"Authorization": "Bearer a b"}, 401, "AUTH_003"),
    "no signature": (
        {"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjoiMSJ9."}, 401, "AUTH_003",
    ),
    "a token of bytes": ({"Authorization": "Bearer \xff\xfe"}, 401, "AUTH_003"),
    "a token of 30 kB": ({"Authorization": "Bearer " + "x" * 30_000}, 401, "AUTH_003"),
    "Basic": ({"Authorization": "Basic Y2xpZW50OmE="}, 401, "AUTH_001"),
    "a session of nobody's": ({"Cookie": "sessionid=' OR 1=1; csrftoken=x"}, 401, "AUTH_001"),
    "a cookie without a name": ({"Cookie": "=;;=x; \xff"}, 401, "AUTH_001"),
    "a user of one's own": ({"X-Remote-User": "operator", "Remote-User": "operator"}, 401,
        "AUTH_001"),
    "an address to be forwarded to": ({"X-Original-URL": "/admin/", "X-Rewrite-URL": "/admin/"},
        401, "AUTH_001"),
    "languages without end": ({"Accept-Language": "x," * 10_000}, 401, "AUTH_001"),
    "ranges without end": ({"Range": "bytes=" + "0-," * 5000}, 401, "AUTH_001"),
}  # fmt: skip


@pytest.fixture
def schedule(client_user):
    return ActiveScheduleFactory(
        schedule=CallScheduleFactory(created_by=f"user_{client_user.pk}")
    ).schedule


@pytest.fixture(autouse=True)
def _nothing_changes(schedule):
    """Whatever is asked, every row is afterwards what it was before."""
    tables = (CallSchedule, ActiveSchedule, CallLog)
    before = [list(table.objects.order_by("pk").values()) for table in tables]
    yield
    assert [list(table.objects.order_by("pk").values()) for table in tables] == before


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_hostile_body_is_refused(api, schedule, method, name):
    body, code = BODIES[name]
    path = "/schedule/" if method == "POST" else f"/schedule/{schedule.pk}"

    answer = api.generic(method, path, body, "application/json")

    assert_formatted(answer, 400, code)
    assert len(answer.content) < 3000


@pytest.mark.parametrize("name", QUERIES)
def test_a_hostile_address_is_refused(api, schedule, name):
    address, status, code = QUERIES[name]

    answer = api.generic("GET", address.replace("{id}", schedule.pk))

    assert_formatted(answer, status, code)
    assert len(answer.content) < 3000


@pytest.mark.parametrize("name", HEADERS)
def test_a_hostile_header_opens_nothing(name):
    headers, status, code = HEADERS[name]

    answer = APIClient(raise_request_exception=False).get("/schedule/", headers=headers)

    assert_formatted(answer, status, code)


@pytest.mark.parametrize(
    "text",
    ["<script>alert(1)</script>", "{{ 7*7 }}", "{% load x %}", "\u202egnp.exe", "=cmd|'x'!A0",
     "a\u0300" * 500, "\U0001f4de", "\ufeff", "\u2028\u2029", "%s%n{0}", "../../etc/passwd"],
    ids=lambda text: ascii(text)[:20],
)  # fmt: skip
def test_text_is_text_whatever_it_looks_like(api, desk, text):
    answer = api.post("/schedule/preview", SOUND, format="json")
    assert answer.status_code == 200
    made = api.post("/schedule/", SOUND | {"description": text}, format="json").json()
    path = f"/schedule/{made['schedule_id']}"

    shown = api.get(path).json()["description"]
    page = desk.get("/admin/schedules/callschedule/").content.decode()

    assert shown.strip() == text.strip()
    assert "<script>alert" not in page
    assert "{{ 7*7 }}" in page or "49" not in text
    api.delete(path)


@pytest.mark.parametrize(
    "path",
    [
        "/admin/polaris/auditentry/?actor=%00",
        "/admin/tracking/calllog/?status__exact=%00",
        "/admin/schedules/callschedule/?q=%00",
        "/admin/schedules/callschedule/%00/change/",
        "/admin/polaris/auditentry/%00/change/",
    ],
)
def test_a_nul_in_an_address_of_the_admin_is_no_error_of_ours(desk, path):
    """PostgreSQL can keep none, and says so by an error."""
    desk.raise_request_exception = False

    assert desk.get(path).status_code < 500
