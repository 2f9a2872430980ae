"""GET /schedule/ and GET /schedule/active: filters, pages, order, and how much they ask for."""

from datetime import UTC, datetime, timedelta

import pytest

from polaris.access import owner_id
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory

LIST, ACTIVE = "/schedule/", "/schedule/active"
FIRST = datetime(2026, 1, 15, 10, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def make(client_user):
    """Makes a schedule of the client's."""

    def make(**fields):
        return CallScheduleFactory(**{"created_by": owner_id(client_user)} | fields)

    return make


@pytest.fixture
def arm(client_user):
    """Makes an armed schedule of the client's."""

    def make(**fields):
        return ActiveScheduleFactory(**{"schedule__created_by": owner_id(client_user)} | fields)

    return make


def ids(answer):
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


@pytest.mark.parametrize("path", [LIST, "/schedule", ACTIVE, "/schedule/active/"])
def test_an_empty_list(api, path):
    answer = api.get(path)

    assert answer.json() == {"count": 0, "next": None, "previous": None, "results": []}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"monday", "tuesday", "paused"}),
        ("status=scheduled", {"monday", "tuesday"}),
        ("status=paused", {"paused"}),
        ("status=failed", set()),
        ("status=", {"monday", "tuesday", "paused"}),
        ("user_profile_id=profile_1", {"monday"}),
        ("user_profile_id=profile_", set()),
        ("user_profile_id=Profile_1", set()),
        ("agent_instance_id=agent_1", {"tuesday"}),
        ("call_type=outbound", {"monday", "tuesday", "paused"}),
        ("call_type=inbound", set()),
        ("from=2026-01-13T10:00:00Z", {"tuesday", "paused"}),
        ("from=2026-01-13T10:00:00.001Z", {"paused"}),
        ("to=2026-01-13T10:00:00Z", {"monday", "tuesday"}),
        ("to=2026-01-13T09:59:59Z", {"monday"}),
        ("from=2026-01-13&to=2026-01-13", {"tuesday"}),
        ("from=2026-01-13T12:00:00%2B02:00&to=2026-01-13T12:00:00%2B02:00", {"tuesday"}),
        ("from=2026-01-13T12:00:00+02:00&to=2026-01-13T12:00:00+02:00", {"tuesday"}),
        ("from=2026-01-13T10:00&to=2026-01-13T10:00", {"tuesday"}),
        ("from=2026-01-13 10:00:00&to=2026-01-13 10:00:00", {"tuesday"}),
        ("status=scheduled&from=2026-01-13", {"tuesday"}),
        ("from=0001-01-01&to=9999-12-31", {"monday", "tuesday", "paused"}),
    ],
)
def test_filters_narrow_the_list(api, make, query, found):
    make(description="monday", scheduled_time="2026-01-12T10:00Z", user_profile_id="profile_1")
    make(description="tuesday", scheduled_time="2026-01-13T10:00Z", agent_instance_id="agent_1")
    make(description="paused", scheduled_time="2026-01-14T10:00Z", status="paused")

    answer = api.get(f"{LIST}?{query}")

    assert answer.status_code == 200, answer.content
    assert {row["description"] for row in answer.json()["results"]} == found


def test_a_bare_date_is_a_day_in_the_schedulers_zone(api, make, settings):
    settings.SCHEDULER_TIMEZONE = "Asia/Tokyo"
    inside = make(scheduled_time="2026-01-12T15:00Z")
    make(scheduled_time="2026-01-13T15:00Z")

    answer = api.get(f"{LIST}?from=2026-01-13&to=2026-01-13")

    assert ids(answer) == [inside.pk]


BAD_QUERIES = [
    ("limit=0", "limit"),
    ("limit=-1", "limit"),
    ("limit=1001", "limit"),
    ("limit=", "limit"),
    ("limit=1e3", "limit"),
    ("limit=%2B5", "limit"),
    ("limit=٣", "limit"),
    ("limit=²", "limit"),
    ("limit=" + "9" * 5000, "limit"),
    ("limit=1&limit=2", "limit"),
    ("offset=-1", "offset"),
    ("offset=x", "offset"),
    ("offset=2147483648", "offset"),
    ("ordering=phone", "ordering"),
    ("ordering=-", "ordering"),
    ("ordering=%3F", "ordering"),
    ("ordering=--status", "ordering"),
    ("ordering=status,", "ordering"),
    ("ordering=created_by__x", "ordering"),
    ("status=nonsense", "status"),
    ("status=%00", "status"),
    ("status=paused&status=scheduled", "status"),
    ("nonsense=1", "nonsense"),
    ("format=xml", "format"),
    ("limit[]=1", "limit[]"),
    ("%00=1", "\x00"),
    ("%ff=1", "�"),
]


@pytest.mark.parametrize("path", [LIST, ACTIVE])
@pytest.mark.parametrize(("query", "field"), BAD_QUERIES, ids=lambda value: ascii(value)[:30])
def test_a_query_that_is_not_understood_is_refused(api, path, query, field):
    answer = api.get(f"{path}?{query}")

    assert (answer.status_code, answer.json()["error_code"]) == (400, "REQUEST_007")
    assert answer.json()["details"]["field"] == field


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=x", "from"),
        ("from=2026-13-45", "from"),
        ("from=2026-01-13T25:00:00Z", "from"),
        ("from=%00", "from"),
        ("from=２０２６-01-13", "from"),  # noqa: RUF001 (full-width digits)
        ("from=0001-01-01T00:00:00%2B23:59", "from"),
        ("to=9999-12-31T23:59:59-23:59", "to"),
        ("from=2026-01-14&to=2026-01-13", "to"),
        ("call_type=nonsense", "call_type"),
        ("user_profile_id=%00", "user_profile_id"),
        ("agent_instance_id=a%00b", "agent_instance_id"),
        ("schedule_id=1", "schedule_id"),
    ],
)
def test_a_filter_whose_value_is_none_is_refused(api, query, field):
    answer = api.get(f"{LIST}?{query}")

    assert (answer.status_code, answer.json()["error_code"]) == (400, "REQUEST_007")
    assert answer.json()["details"]["field"] == field


@pytest.mark.parametrize("value", ["%ff", "%ed%a0%80", "x" * 10_000, "%27%20OR%201=1", "%25", "é"])
def test_an_odd_value_finds_nothing(api, make, value):
    make()

    assert ids(api.get(f"{LIST}?user_profile_id={value}")) == []


def test_too_many_parameters_are_a_bad_request(api):
    answer = api.get(LIST + "?" + "&".join(["a=1"] * 1500))

    assert (answer.status_code, answer.json()["error_code"]) == (400, "REQUEST_008")


def test_pages_hold_every_row_once(api, make):
    made = {make(created_at=FIRST).pk for _ in range(7)}

    pages = [ids(api.get(f"{LIST}?limit=3&offset={offset}")) for offset in (0, 3, 6, 9)]

    assert [len(page) for page in pages] == [3, 3, 1, 0]
    assert {pk for page in pages for pk in page} == made


def test_a_page_names_its_neighbours_and_keeps_the_filters(api, make):
    for _ in range(3):
        make(status="paused")

    answer = api.get(f"{LIST}?status=paused&limit=1&offset=1").json()

    assert answer["count"] == 3
    assert answer["next"] == "http://testserver/schedule/?limit=1&offset=2&status=paused"
    assert answer["previous"] == "http://testserver/schedule/?limit=1&status=paused"


def test_a_page_holds_a_hundred_rows_where_no_limit_is_given(api, make):
    for _ in range(101):
        make()

    assert len(ids(api.get(LIST))) == 100
    assert len(ids(api.get(f"{LIST}?limit=1000"))) == 101


def test_the_newest_schedule_comes_first(api, make):
    made = [make(created_at=FIRST + timedelta(days=day)).pk for day in range(3)]

    assert ids(api.get(LIST)) == made[::-1]


@pytest.mark.parametrize(
    ("ordering", "expected"),
    [
        ("scheduled_time", "bac"),
        ("-scheduled_time", "cab"),
        ("status,scheduled_time", "bca"),
        ("status,-scheduled_time", "cba"),
        ("last_updated", "cba"),
        ("-created_at", "cba"),
    ],
)
def test_a_list_can_be_ordered(api, make, ordering, expected):
    for name, day, status in (("a", 2, "scheduled"), ("b", 1, "paused"), ("c", 3, "paused")):
        make(
            description=name,
            scheduled_time=FIRST + timedelta(days=day),
            status=status,
            created_at=FIRST + timedelta(hours=ord(name)),
            last_updated=FIRST - timedelta(hours=ord(name)),
        )

    answer = api.get(f"{LIST}?ordering={ordering}").json()

    assert "".join(row["description"] for row in answer["results"]) == expected


def test_a_list_shows_when_the_next_call_is_due(api, arm, make):
    armed = arm(schedule__scheduled_time=FIRST)
    idle = make()

    shown = {row["id"]: row["next_execution"] for row in api.get(LIST).json()["results"]}

    assert shown == {armed.schedule_id: "2026-01-15T10:00:00Z", idle.pk: None}


@pytest.mark.parametrize("path", [LIST, ACTIVE])
@pytest.mark.parametrize("rows", [1, 20])
def test_a_list_takes_two_queries_whatever_its_length(
    api, arm, path, rows, django_assert_num_queries
):
    for _ in range(rows):
        arm()

    with django_assert_num_queries(2):
        answer = api.get(path)

    assert answer.json()["count"] == rows


@pytest.mark.parametrize("path", [LIST, ACTIVE])
def test_the_headers_of_a_list_can_be_asked_for_alone(api, path):
    answer = api.head(path)

    assert (answer.status_code, answer.content) == (200, b"")


# -- what is armed -------------------------------------------------------------------------------


def test_armed_calls_are_listed_by_due_time_and_paused_ones_last(api, arm):
    late = arm(schedule__scheduled_time=FIRST + timedelta(days=1))
    soon = arm(schedule__scheduled_time=FIRST)
    paused = arm(schedule__scheduled_time=FIRST, next_execution=None, status="paused")

    assert ids(api.get(ACTIVE)) == [soon.pk, late.pk, paused.pk]


@pytest.mark.parametrize("slash", ["", "/"])
def test_an_armed_call_is_shown_with_every_field_of_the_contract(api, arm, slash):
    waits_for = "Another call to its number is not over."
    due_at = FIRST + timedelta(minutes=1)
    armed = arm(schedule__scheduled_time=FIRST, due_at=due_at, waits_for=waits_for)

    (shown,) = api.get(ACTIVE + slash).json()["results"]

    assert shown.pop("created_at")
    assert shown.pop("last_updated")
    assert shown == {
        "id": armed.pk,
        "schedule_id": armed.schedule_id,
        "job_id": armed.job_id,
        "next_execution": "2026-01-15T10:00:00Z",
        "status": "scheduled",
        "occurrence": "2026-01-15T10:00:00Z",
        "attempt": 1,
        "due_at": "2026-01-15T10:01:00Z",
        "waits_for": waits_for,
        "origin": "rule",
    }


def test_armed_calls_can_be_filtered_and_ordered(api, arm):
    one = arm(schedule__scheduled_time=FIRST)
    other = arm(schedule__scheduled_time=FIRST + timedelta(days=1), status="pending")

    assert ids(api.get(f"{ACTIVE}?schedule_id={one.schedule_id}")) == [one.pk]
    assert ids(api.get(f"{ACTIVE}?status=pending")) == [other.pk]
    assert ids(api.get(f"{ACTIVE}?ordering=-next_execution")) == [other.pk, one.pk]
    assert ids(api.get(f"{ACTIVE}?limit=1&offset=1")) == [other.pk]


@pytest.mark.parametrize(
    ("phone", "found"),
    [
        ("+4915112345678", 1),
        (" 4915112345678", 1),  # a plus sign that was sent as it is
        ("4915112345678", 1),
        ("+491511234567", 0),
        ("12345678", 0),
        ("", 2),
    ],
)
def test_a_list_can_be_narrowed_to_a_whole_number(api, phone, found):
    owner = api.get("/schedule/").wsgi_request.user
    for number in ("+4915112345678", "+4915187654321"):
        CallScheduleFactory(phone=number, created_by=f"user_{owner.pk}")

    assert api.get("/schedule/", {"phone": phone}).json()["count"] == found
