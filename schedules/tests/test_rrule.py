"""RRULEs: the RFC's own examples, what dateutil reads otherwise, refusals, and the cost."""

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polaris.tests.steps import at_most
from schedules.localtime import Gap, resolve
from schedules.recurrence import Rule, next_occurrence, occurrences
from schedules.rrule import PARTS, InvalidRecurrence, Unit, parse_recurrence
from schedules.tests.test_recurrence_properties import thoroughly

NEW_YORK = ZoneInfo("America/New_York")
HELSINKI = ZoneInfo("Europe/Helsinki")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
APIA = ZoneInfo("Pacific/Apia")
KATHMANDU = ZoneInfo("Asia/Kathmandu")


def rule_of(text: str, **policy) -> Rule:
    recurrence = parse_recurrence(text)
    return Rule(recurrence=recurrence, count=recurrence.count, **policy)


def called(text: str, anchor: str, number: int, zone: ZoneInfo = NEW_YORK, **policy) -> list:
    start = datetime.fromisoformat(anchor)
    moment = start if start.tzinfo else resolve(start, zone)
    return [
        each.astimezone(zone)
        for each in islice(occurrences(moment, zone, rule_of(text, **policy)), number)
    ]


def days(text: str, anchor: str, number: int) -> list[str]:
    return [f"{each:%Y-%m-%d}" for each in called(text, anchor, number)]


def hours(text: str, anchor: str, number: int, zone: ZoneInfo = NEW_YORK, **policy) -> list[str]:
    return [f"{each:%m-%d %H:%M %z}" for each in called(text, anchor, number, zone, **policy)]


# RFC 5545, 3.8.5.3: all begin on Tuesday 1997-09-02 at 09:00 in New York unless said otherwise.
FROM_THE_RFC = [
    ("FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-09-02", "09-02 09-12 09-22 10-02 10-12"),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;WKST=SU;BYDAY=TU,TH", "1997-09-02", "09-02 09-04 09-16 09-18"),
    ("FREQ=MONTHLY;COUNT=4;BYDAY=1FR", "1997-09-05", "09-05 10-03 11-07 12-05"),
    ("FREQ=MONTHLY;COUNT=3;BYDAY=-2MO", "1997-09-22", "09-22 10-20 11-17"),
    ("FREQ=MONTHLY;BYMONTHDAY=-3", "1997-09-28", "09-28 10-29 11-28 12-29"),
    ("FREQ=MONTHLY;COUNT=5;BYMONTHDAY=1,-1", "1997-09-30", "09-30 10-01 10-31 11-01 11-30"),
    ("FREQ=YEARLY;COUNT=4;BYMONTH=6,7", "1997-06-10", "06-10 07-10 06-10 07-10"),
    (
        "FREQ=YEARLY;INTERVAL=3;COUNT=5;BYYEARDAY=1,100,200",
        "1997-01-01",
        "01-01 04-10 07-19 01-01 04-09",
    ),
    ("FREQ=YEARLY;BYDAY=20MO", "1997-05-19", "05-19 05-18 05-17"),
    ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "1997-05-12", "05-12 05-11 05-17"),
    ("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1997-09-02", "02-13 03-13 11-13 08-13"),
    ("FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13", "1997-09-13", "09-13 10-11 11-08"),
    (
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
        "1996-11-05",
        "11-05 11-07 11-02",
    ),
    ("FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-09-04", "09-04 10-07 11-06"),
    ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2", "1997-09-29", "09-29 10-30 11-27 12-30"),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997-08-05", "08-05 08-10 08-19 08-24"),
    ("FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997-08-05", "08-05 08-17 08-19 08-31"),
    ("FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5", "2007-01-15", "01-15 01-30 02-15 03-15 03-30"),
]


@pytest.mark.parametrize(("text", "start", "expected"), FROM_THE_RFC)
def test_the_rfc_s_own_examples(text, start, expected):
    number = len(expected.split())

    assert [day[5:] for day in days(text, f"{start}T09:00", number)] == expected.split()


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        # Numbered and plain weekdays in one list: any of them.
        ("FREQ=MONTHLY;BYDAY=1MO,FR", "2026-06-01", "06-01 06-05 06-12 06-19"),
        # The weekday that BYWEEKNO leaves open is the start's.
        ("FREQ=YEARLY;BYWEEKNO=20", "2026-01-07", "05-13 05-19 05-17"),
        # The week that BYSETPOS chooses from began before the start.
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=1", "2026-01-07", "01-12 01-19"),
        ("FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=-1", "2026-01-07", "01-09 01-16"),
        ("FREQ=YEARLY;BYWEEKNO=53,-1;BYDAY=TH", "2026-01-01", "12-31 12-30 12-28"),
        ("FREQ=MONTHLY", "2026-01-31", "01-31 03-31 05-31 07-31 08-31 10-31 12-31"),
        ("FREQ=YEARLY", "2028-02-29", "02-29 02-29 02-29"),
        ("FREQ=WEEKLY;BYDAY=MO", "2026-01-07", "01-12 01-19"),
    ],
)
def test_what_the_rfc_leaves_to_its_reader(text, start, expected):
    number = len(expected.split())

    assert [day[5:] for day in days(text, f"{start}T09:00", number)] == expected.split()


CLOCK_CHANGES = [
    (
        "FREQ=DAILY",
        "2026-03-07T02:30",
        NEW_YORK,
        ["03-07 02:30 -0500", "03-08 03:30 -0400", "03-09 02:30 -0400"],
    ),
    ("FREQ=DAILY", "2027-03-13T02:30", NEW_YORK, ["03-13 02:30 -0500", "03-14 03:30 -0400"]),
    (
        "FREQ=DAILY",
        "2026-10-31T01:30",
        NEW_YORK,
        ["10-31 01:30 -0400", "11-01 01:30 -0400", "11-02 01:30 -0500"],
    ),
    (
        "FREQ=DAILY",
        "2026-11-01T01:30-05:00",
        NEW_YORK,
        ["11-01 01:30 -0500", "11-02 01:30 -0500"],
    ),
    (
        "FREQ=DAILY;BYHOUR=0,1,2;BYMINUTE=0,30",
        "2026-11-01T00:30",
        NEW_YORK,
        ["11-01 00:30 -0400", "11-01 01:00 -0400", "11-01 01:30 -0400", "11-01 02:00 -0500"],
    ),
    (
        "FREQ=MINUTELY;INTERVAL=30",
        "2026-11-01T01:00",
        NEW_YORK,
        ["11-01 01:00 -0400", "11-01 01:30 -0400", "11-01 01:00 -0500", "11-01 01:30 -0500"],
    ),
    (
        "FREQ=HOURLY;INTERVAL=24",
        "2026-03-07T09:00",
        NEW_YORK,
        ["03-07 09:00 -0500", "03-08 10:00 -0400"],
    ),
    (
        "FREQ=WEEKLY",
        "2017-10-22T03:30",
        HELSINKI,
        ["10-22 03:30 +0300", "10-29 03:30 +0300", "11-05 03:30 +0200"],
    ),
    ("FREQ=DAILY", "2026-10-03T02:15", LORD_HOWE, ["10-03 02:15 +1030", "10-04 02:45 +1100"]),
    (
        "FREQ=DAILY",
        "2011-12-29T09:00",
        APIA,
        ["12-29 09:00 -1000", "12-31 09:00 +1400", "01-01 09:00 +1400"],
    ),
    ("FREQ=DAILY", "2026-03-28T00:10", KATHMANDU, ["03-28 00:10 +0545", "03-29 00:10 +0545"]),
]


@pytest.mark.parametrize(("text", "anchor", "zone", "expected"), CLOCK_CHANGES)
def test_the_night_the_clock_changes(text, anchor, zone, expected):
    assert hours(text, anchor, len(expected), zone) == expected


def test_a_skipped_time_may_be_skipped_and_is_not_counted():
    found = hours("FREQ=DAILY;COUNT=2", "2026-03-07T02:30", 9, gap=Gap.SKIP)

    assert found == ["03-07 02:30 -0500", "03-09 02:30 -0400"]


def test_seconds_are_those_of_the_start_unless_named():
    start = "2026-01-01T09:00:17.500"

    assert called("FREQ=DAILY", start, 1)[0].second == 17
    assert called("FREQ=DAILY;BYSECOND=20", start, 1)[0].time().isoformat() == "09:00:20.500000"


@pytest.mark.parametrize("text", ["RRULE:FREQ=DAILY", "freq=daily", " rrule:Freq=Daily; "])
def test_is_read_with_or_without_its_name_in_any_case(text):
    assert parse_recurrence(text) == parse_recurrence("FREQ=DAILY")


@pytest.mark.parametrize(
    ("until", "meant"),
    [
        ("20261231", "2026-12-31"),
        ("20261231T093000", "2026-12-31T09:30:00"),
        ("20261231T093000Z", "2026-12-31T09:30:00Z"),
    ],
)
def test_an_until_is_a_day_a_local_time_or_utc(until, meant):
    assert parse_recurrence(f"FREQ=DAILY;UNTIL={until}").until == meant


@pytest.mark.parametrize(
    ("text", "issue"),
    [
        ("", "Must name its FREQ"),
        ("BYDAY=MO", "Must name its FREQ"),
        ("every day", "'EVERY DAY' is not a part of an RRULE"),
        ("FREQ=DAILY;X-EVENT=1", "'X-EVENT' is not a part"),
        ("FREQ=DAILY;BYEASTER=1", "'BYEASTER' is not a part"),
        ("FREQ=DAILY;FREQ=DAILY", "Names FREQ more than once"),
        ("FREQ=DAILY;COUNT", "COUNT has no value"),
        ("FREQ=DAILY;COUNT=", "COUNT has no value"),
        ("FREQ=FORTNIGHTLY", "FREQ must be one of"),
        ("FREQ=SECONDLY", "FREQ=SECONDLY is not followed"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL must be one whole number from 1 to 10000"),
        ("FREQ=DAILY;INTERVAL=" + "9" * 400, "INTERVAL must be one whole number"),
        ("FREQ=DAILY;COUNT=10001", "COUNT must be one whole number from 1 to 10000"),
        ("FREQ=DAILY;COUNT=-1", "COUNT must be one whole number"),
        ("FREQ=DAILY;COUNT=5;UNTIL=20261231", "COUNT and UNTIL exclude each other"),
        ("FREQ=DAILY;UNTIL=2026-12-31", "UNTIL must be a date or time such as"),
        ("FREQ=DAILY;UNTIL=20260230", "UNTIL names no date or time that exists"),
        ("FREQ=DAILY;BYHOUR=24", "BYHOUR must be numbers from 0 to 23"),
        ("FREQ=DAILY;BYMINUTE=-1", "BYMINUTE must be numbers from 0 to 59"),
        ("FREQ=DAILY;BYSECOND=0,30", "BYSECOND must be one whole number"),
        ("FREQ=DAILY;BYMONTH=0", "BYMONTH must be numbers from 1 to 12"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY must be numbers"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY must be weekdays"),
        ("FREQ=MONTHLY;BYDAY=MONDAY", "BYDAY must be weekdays"),
        ("FREQ=WEEKLY;WKST=XX", "WKST must be one of"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY goes with"),
        ("FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY goes with FREQ=YEARLY alone"),
        ("FREQ=MONTHLY;BYWEEKNO=1", "BYWEEKNO goes with FREQ=YEARLY alone"),
        ("FREQ=WEEKLY;BYDAY=2MO", "A numbered weekday"),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=2MO", "A numbered weekday"),
        ("FREQ=DAILY;BYSETPOS=1", "BYSETPOS needs another part"),
        ("FREQ=HOURLY;BYDAY=MO", "FREQ=HOURLY is elapsed time and has no BYDAY"),
        ("FREQ=MINUTELY;BYHOUR=9", "FREQ=MINUTELY is elapsed time and has no BYHOUR"),
        ("DTSTART:20260101T090000\nRRULE:FREQ=DAILY", "DTSTART does not belong here"),
        ("RRULE:FREQ=DAILY\nEXDATE:20260101T090000", "EXDATE does not belong here"),
        ("RRULE:FREQ=DAILY\nRDATE:20260101", "RDATE does not belong here"),
        ("FREQ=DAILY\nFREQ=DAILY", "Must be one line"),
        ("FREQ=DÄILY", "Must be one line of plain letters"),
        ("FREQ=DAILY;BYMONTH=" + "1," * 300, "at most 500 characters"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_a_reason(text, issue):
    with pytest.raises(InvalidRecurrence, match=issue):
        parse_recurrence(text)


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTHDAY=31;BYMONTH=2",
        "FREQ=DAILY;INTERVAL=7;BYDAY=WE",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=300",
        "FREQ=MONTHLY;BYDAY=6MO",
        "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=3",
        "FREQ=YEARLY;INTERVAL=10000;BYYEARDAY=366",
        "FREQ=YEARLY;BYWEEKNO=20;BYMONTH=1",
    ],
)
def test_a_rule_that_never_matches_is_known_soon(text):
    with at_most(calls=3_000_000):
        assert called(text, "2026-01-01T09:00", 1) == []


@pytest.mark.parametrize(
    "text",
    [
        "FREQ=MINUTELY",
        "FREQ=HOURLY",
        "FREQ=DAILY;BYHOUR=9,10,11;BYMINUTE=0,15,30,45",
        "FREQ=WEEKLY;BYDAY=MO,FR",
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
        "FREQ=DAILY;COUNT=10000",
    ],
)
def test_the_next_one_is_found_without_walking_from_an_anchor_of_twenty_years_ago(text):
    anchor = datetime(2006, 1, 31, 14, tzinfo=UTC)
    after = datetime(2026, 1, 15, 12, tzinfo=UTC)
    rule = rule_of(text)

    with at_most(calls=1_000_000):
        for step in range(200):
            moment = after + step * timedelta(hours=7)
            assert next_occurrence(anchor, NEW_YORK, rule, after=moment) > moment


@thoroughly
@given(
    st.text(max_size=40)
    | st.dictionaries(st.sampled_from(PARTS), st.text("0123456789,-MOFRSU", max_size=6)).map(
        lambda parts: ";".join(f"{name}={value}" for name, value in parts.items())
    )
)
def test_any_text_is_a_recurrence_or_is_refused(text):
    for unit in ("", *(f"FREQ={unit};" for unit in Unit)):
        try:
            recurrence = parse_recurrence(unit + text)
        except InvalidRecurrence:
            continue
        assert parse_recurrence(recurrence.text) == recurrence
