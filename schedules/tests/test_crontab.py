from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedules.crontab import CronWalls, InvalidCrontab, parse_crontab
from schedules.localtime import Gap, resolve
from schedules.recurrence import Rule, next_occurrence, occurrences
from schedules.tests.test_recurrence_properties import thoroughly

NEW_YORK = ZoneInfo("America/New_York")
HELSINKI = ZoneInfo("Europe/Helsinki")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
APIA = ZoneInfo("Pacific/Apia")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
SCORESBYSUND = ZoneInfo("America/Scoresbysund")


def named(line: str, start: str, number: int) -> list[str]:
    """The wall times that a line names, whatever the zone."""
    begin = datetime.fromisoformat(start)
    walls = CronWalls(parse_crontab(line), begin).walls_from(begin)
    return [f"{each.wall:%a %Y-%m-%d %H:%M}" for each in islice(walls, number)]


def called(line: str, anchor: str, zone: ZoneInfo, number: int, **policy) -> list[str]:
    rule = Rule(crontab=parse_crontab(line), **policy)
    start = datetime.fromisoformat(anchor)
    moment = start if start.tzinfo else resolve(start, zone)
    found = islice(occurrences(moment, zone, rule), number)
    return [f"{each.astimezone(zone):%m-%d %H:%M %z}" for each in found]


@pytest.mark.parametrize(
    ("line", "start", "expected"),
    [
        ("0 9 * * 1", "2026-01-01", ["Mon 2026-01-05 09:00", "Mon 2026-01-12 09:00"]),
        ("0 9 * * 0", "2026-01-01", ["Sun 2026-01-04 09:00", "Sun 2026-01-11 09:00"]),
        ("0 9 * * 7", "2026-01-01", ["Sun 2026-01-04 09:00", "Sun 2026-01-11 09:00"]),
        ("0 9 * * sun", "2026-01-01", ["Sun 2026-01-04 09:00", "Sun 2026-01-11 09:00"]),
        ("0 9 * * 5-7", "2026-01-01", ["Fri 2026-01-02 09:00", "Sat 2026-01-03 09:00"]),
        ("0 9 13 * FRI", "2026-01-01", ["Fri 2026-01-02 09:00", "Fri 2026-01-09 09:00"]),
        ("0 9 13 2 FRI", "2026-02-08", ["Fri 2026-02-13 09:00", "Fri 2026-02-20 09:00"]),
        ("0 9 */2 * MON", "2026-01-01", ["Mon 2026-01-05 09:00", "Mon 2026-01-19 09:00"]),
        ("0 9 13 * */5", "2026-01-01", ["Fri 2026-02-13 09:00", "Fri 2026-03-13 09:00"]),
        ("5/20 9 1 1 *", "2026-01-01", ["Thu 2026-01-01 09:05", "Thu 2026-01-01 09:25"]),
        ("0-0/1 9 1 1 *", "2026-01-01", ["Thu 2026-01-01 09:00", "Fri 2027-01-01 09:00"]),
        ("0 9 * JAN-1/3 MON-1/3", "2026-01-01", ["Mon 2026-01-05 09:00", "Mon 2026-01-12 09:00"]),
        ("1,3 9,8 1 1 *", "2026-01-01", ["Thu 2026-01-01 08:01", "Thu 2026-01-01 08:03"]),
        ("0 9 L * *", "2028-02-01", ["Tue 2028-02-29 09:00", "Fri 2028-03-31 09:00"]),
        ("0 9 LW * *", "2026-01-01", ["Fri 2026-01-30 09:00", "Fri 2026-02-27 09:00"]),
        ("0 9 * * 2#1", "2026-01-01", ["Tue 2026-01-06 09:00", "Tue 2026-02-03 09:00"]),
        ("0 9 * * 5L", "2026-01-01", ["Fri 2026-01-30 09:00", "Fri 2026-02-27 09:00"]),
        ("0 0 29 2 *", "2096-03-01", ["Fri 2104-02-29 00:00", "Wed 2108-02-29 00:00"]),
        ("0 0 * 2 MON#5", "2026-01-01", ["Mon 2044-02-29 00:00", "Mon 2072-02-29 00:00"]),
        ("0 9 * * *", "2026-01-01T09:00:01", ["Fri 2026-01-02 09:00", "Sat 2026-01-03 09:00"]),
    ],
)
def test_a_line_is_read_as_unix_does(line, start, expected):
    assert named(line, start, 2) == expected


CLOCK_CHANGES = [
    (
        "30 2 * * *",
        "2026-03-07T02:30",
        NEW_YORK,
        ["03-07 02:30 -0500", "03-08 03:30 -0400", "03-09 02:30 -0400"],
    ),
    (
        "30 2 * * *",
        "2027-03-14T00:00",
        NEW_YORK,
        ["03-14 03:30 -0400", "03-15 02:30 -0400"],
    ),
    (
        "30 1 * * *",
        "2026-10-31T02:00",
        NEW_YORK,
        ["11-01 01:30 -0400", "11-02 01:30 -0500"],
    ),
    (
        "*/30 * * * *",
        "2026-03-08T01:30",
        NEW_YORK,
        ["03-08 01:30 -0500", "03-08 03:00 -0400", "03-08 03:30 -0400", "03-08 04:00 -0400"],
    ),
    (
        "*/30 * * * *",
        "2026-11-01T00:30",
        NEW_YORK,
        ["11-01 00:30 -0400", "11-01 01:00 -0400", "11-01 01:30 -0400", "11-01 02:00 -0500"],
    ),
    (
        "*/30 * * * *",
        "2026-11-01T01:15-05:00",
        NEW_YORK,
        ["11-01 01:30 -0500", "11-01 02:00 -0500"],
    ),
    ("15 2,3 * * *", "2026-03-08T01:00", NEW_YORK, ["03-08 03:15 -0400", "03-09 02:15 -0400"]),
    (
        "30 3 * * *",
        "2017-10-28T00:00",
        HELSINKI,
        ["10-28 03:30 +0300", "10-29 03:30 +0300", "10-30 03:30 +0200"],
    ),
    (
        "20,45 2 * * *",
        "2026-10-04T00:00",
        LORD_HOWE,
        ["10-04 02:45 +1100", "10-04 02:50 +1100", "10-05 02:20 +1100"],
    ),
    (
        "0 9 * * *",
        "2011-12-29T00:00",
        APIA,
        ["12-29 09:00 -1000", "12-31 09:00 +1400", "01-01 09:00 +1400"],
    ),
    ("0 9 30 12 *", "2011-12-01T00:00", APIA, ["12-31 09:00 +1400", "12-30 09:00 +1400"]),
    ("10 0 * * *", "2026-03-28T00:00", KATHMANDU, ["03-28 00:10 +0545", "03-29 00:10 +0545"]),
    (
        "30 23 * * *",
        "2026-03-27T23:00",
        SCORESBYSUND,
        ["03-27 23:30 -0200", "03-29 00:30 -0100", "03-29 23:30 -0100"],
    ),
]


@pytest.mark.parametrize(("line", "anchor", "zone", "expected"), CLOCK_CHANGES)
def test_the_night_the_clock_changes(line, anchor, zone, expected):
    assert called(line, anchor, zone, len(expected)) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("30 2 * * *", ["03-09 02:30 -0400", "03-10 02:30 -0400"]),
        ("*/30 1,2,3 * * *", ["03-08 01:00 -0500", "03-08 01:30 -0500", "03-08 03:00 -0400"]),
    ],
)
def test_a_skipped_time_may_be_skipped(line, expected):
    found = called(line, "2026-03-08T00:00", NEW_YORK, len(expected), gap=Gap.SKIP)

    assert found == expected


def test_a_match_before_the_start_is_not_called_though_a_gap_moves_it_behind_it():
    assert called("30 2 * * *", "2026-03-08T03:00", NEW_YORK, 1) == ["03-09 02:30 -0400"]


def test_a_match_whose_first_time_has_passed_is_not_called_at_its_second():
    assert called("30 1 * * *", "2026-11-01T01:45", NEW_YORK, 1) == ["11-02 01:30 -0500"]


def test_a_count_counts_calls_and_an_end_is_inclusive():
    until = resolve(datetime.fromisoformat("2026-03-08T03:30"), NEW_YORK)

    assert len(called("*/30 * * * *", "2026-03-08T01:00", NEW_YORK, 99, until=until)) == 4
    assert len(called("*/30 * * * *", "2026-03-08T01:00", NEW_YORK, 99, count=5)) == 5


@pytest.mark.parametrize("line", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "* * */20 * 1L"])
def test_a_line_that_never_matches_is_refused(line):
    with pytest.raises(InvalidCrontab, match=r"^Never calls: the calendar has no such day\.$"):
        parse_crontab(line)


@pytest.mark.parametrize(
    ("line", "issue"),
    [
        ("", "five fields"),
        ("@daily", "five fields"),
        ("0 0 9 * * *", "five fields"),
        ("0 9 * *", "five fields"),
        ("0 9 * * mañana", "five fields"),
        ("60 9 * * *", "The minute 60 cannot be read: it takes 0 to 59"),
        ("0 24 * * *", "The hour 24 cannot be read"),
        ("0 9 0 * *", "The day of the month 0 cannot be read"),
        ("0 9 32 2 *", "The day of the month 32 cannot be read"),
        ("0 9 * 13 *", "The month 13 cannot be read"),
        ("0 9 * * 8", "The weekday 8 cannot be read"),
        ("0 9 * * FRI-MON", "The weekday FRI-MON cannot be read"),
        ("*/0 9 * * *", r"The minute \*/0 cannot be read"),
        ("0 9 * * 1#6", "The weekday 1#6 cannot be read"),
        ("0 9 * * " + "1," * 100, "at most 200 characters"),
    ],
)
def test_what_is_no_crontab_is_refused_by_its_field(line, issue):
    with pytest.raises(InvalidCrontab, match=issue):
        parse_crontab(line)


def test_its_stored_form_is_in_capitals_with_single_spaces():
    assert parse_crontab("  0\t9 * *  mon-fri\n").line == "0 9 * * MON-FRI"


def test_it_explains_itself():
    assert parse_crontab("0 9 * * mon-fri").explain() == "At 09:00 on Monday through Friday"


def test_it_ends_with_the_calendar():
    rule = Rule(crontab=parse_crontab("0 9 * * *"))
    anchor = datetime(9999, 12, 30, tzinfo=UTC)

    assert len(list(occurrences(anchor, ZoneInfo("UTC"), rule))) == 2
    assert next_occurrence(anchor, NEW_YORK, rule, after=datetime.max.replace(tzinfo=UTC)) is None


@thoroughly
@given(
    st.text(max_size=40)
    | st.lists(
        st.text("0123456789*/,-LW#SUNMOJA", min_size=1, max_size=5), min_size=5, max_size=5
    ).map(" ".join)
)
def test_any_text_is_a_crontab_that_can_be_explained_or_is_refused(text):
    try:
        crontab = parse_crontab(text)
    except InvalidCrontab:
        return

    assert parse_crontab(crontab.line) == crontab
    assert crontab.explain()
