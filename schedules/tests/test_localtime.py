from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from schedules.localtime import (
    Gap,
    UnknownZone,
    end_of_day,
    load_zone,
    resolve,
    to_wall,
    zone_names,
)


def wall(text: str) -> datetime:
    return datetime.fromisoformat(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


PLAIN = [
    ("America/New_York", "2026-01-15T09:00", "2026-01-15T14:00"),
    ("America/New_York", "2026-07-15T09:00", "2026-07-15T13:00"),
    ("Asia/Kathmandu", "2026-01-15T09:00", "2026-01-15T03:15"),
    ("Asia/Kathmandu", "2026-01-01T00:00", "2025-12-31T18:15"),
    ("Pacific/Kiritimati", "2026-01-01T00:00", "2025-12-31T10:00"),
    ("Etc/UTC", "2026-01-15T09:00:30.000001", "2026-01-15T09:00:30.000001"),
]

GAPS = [
    ("America/New_York", "2026-03-08T02:00", "2026-03-08T07:00", "2026-03-08T03:00"),
    ("America/New_York", "2026-03-08T02:30", "2026-03-08T07:30", "2026-03-08T03:30"),
    ("America/New_York", "2027-03-14T02:30", "2027-03-14T07:30", "2027-03-14T03:30"),
    ("Europe/Helsinki", "2017-03-26T03:59:59", "2017-03-26T01:59:59", "2017-03-26T04:59:59"),
    ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:45", "2026-10-04T02:45"),
    ("Africa/Cairo", "2024-04-26T00:00", "2024-04-25T22:00", "2024-04-26T01:00"),
    ("America/Scoresbysund", "2026-03-28T23:30", "2026-03-29T01:30", "2026-03-29T00:30"),
    ("Pacific/Apia", "2011-12-30T09:00", "2011-12-30T19:00", "2011-12-31T09:00"),
]

OVERLAPS = [
    ("America/New_York", "2026-11-01T01:00", "2026-11-01T05:00"),
    ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30"),
    ("Europe/Helsinki", "2017-10-29T03:30", "2017-10-29T00:30"),
    ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45"),
    ("America/Havana", "2026-11-01T00:30", "2026-11-01T04:30"),
]

EDGES = [
    ("America/New_York", "2026-03-08T01:59:59.999999", "2026-03-08T06:59:59.999999"),
    ("America/New_York", "2026-03-08T03:00", "2026-03-08T07:00"),
    ("America/New_York", "2026-11-01T00:59:59.999999", "2026-11-01T04:59:59.999999"),
    ("America/New_York", "2026-11-01T02:00", "2026-11-01T07:00"),
    ("Pacific/Apia", "2011-12-29T23:59:59", "2011-12-30T09:59:59"),
    ("Pacific/Apia", "2011-12-31T00:00", "2011-12-30T10:00"),
]


@pytest.mark.parametrize("gap", Gap)
@pytest.mark.parametrize(("zone", "local", "expected"), PLAIN + OVERLAPS + EDGES)
def test_a_wall_time_that_exists_is_its_first_instant_under_either_policy(
    zone, local, expected, gap
):
    assert resolve(wall(local), ZoneInfo(zone), gap=gap) == utc(expected)


@pytest.mark.parametrize(("zone", "local", "expected", "shown"), GAPS)
def test_a_wall_time_in_a_gap_moves_forward_by_the_gap(zone, local, expected, shown):
    instant = resolve(wall(local), ZoneInfo(zone))

    assert instant == utc(expected)
    assert to_wall(instant, ZoneInfo(zone)) == wall(shown)


@pytest.mark.parametrize(("zone", "local"), [row[:2] for row in GAPS])
def test_a_wall_time_in_a_gap_is_none_where_gaps_are_skipped(zone, local):
    assert resolve(wall(local), ZoneInfo(zone), gap=Gap.SKIP) is None


def test_the_first_of_two_is_taken_even_when_the_second_is_asked_for():
    second = wall("2026-11-01T01:30").replace(fold=1)

    assert resolve(second, ZoneInfo("America/New_York")) == utc("2026-11-01T05:30")


def test_instants_are_in_utc():
    assert resolve(wall("2026-01-15T09:00"), ZoneInfo("Asia/Tokyo")).tzinfo is UTC


@pytest.mark.parametrize("hour", [5, 6])
def test_both_instants_of_an_overlap_show_the_same_plain_wall_time(hour):
    shown = to_wall(utc(f"2026-11-01T0{hour}:30"), ZoneInfo("America/New_York"))

    assert shown == wall("2026-11-01T01:30")
    assert (shown.tzinfo, shown.fold) == (None, 0)


def test_an_instant_may_come_with_any_offset():
    instant = datetime(2026, 1, 15, 9, tzinfo=timezone(timedelta(hours=5, minutes=45)))

    assert to_wall(instant, ZoneInfo("Europe/Helsinki")) == wall("2026-01-15T05:15")


def test_the_two_kinds_of_time_are_not_mistaken_for_each_other():
    zone = ZoneInfo("Europe/Helsinki")

    with pytest.raises(ValueError, match="wall time has no offset"):
        resolve(utc("2026-01-15T09:00"), zone)
    with pytest.raises(ValueError, match="needs an offset"):
        to_wall(wall("2026-01-15T09:00"), zone)


@pytest.mark.parametrize(
    ("zone", "local"),
    [("America/New_York", "9999-12-31T23:00"), ("Asia/Kathmandu", "0001-01-01T00:00")],
)
def test_an_instant_outside_the_calendar_is_an_overflow(zone, local):
    with pytest.raises(OverflowError):
        resolve(wall(local), ZoneInfo(zone))


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("America/New_York", "2026-02-15", "2026-02-16T04:59:59.999999"),
        ("America/New_York", "2026-03-08", "2026-03-09T03:59:59.999999"),
        ("America/New_York", "2026-11-01", "2026-11-02T04:59:59.999999"),
        ("Asia/Kathmandu", "2026-02-15", "2026-02-15T18:14:59.999999"),
        # The next day begins at 01:00, or has its first hour twice.
        ("Africa/Cairo", "2024-04-25", "2024-04-25T21:59:59.999999"),
        ("America/Havana", "2026-10-31", "2026-11-01T03:59:59.999999"),
        # At 00:01 the clock went back to 23:01 of the day before.
        ("America/St_Johns", "2010-11-06", "2010-11-07T03:29:59.999999"),
        # The day's end is skipped: 23:00 is the next midnight, 23:30 is half past it.
        ("America/Scoresbysund", "2026-03-28", "2026-03-29T00:59:59.999999"),
        ("America/Toronto", "1919-03-30", "1919-03-31T04:29:59.999999"),
        # The day itself does not exist.
        ("Pacific/Apia", "2011-12-29", "2011-12-30T09:59:59.999999"),
        ("Pacific/Apia", "2011-12-30", "2011-12-30T09:59:59.999999"),
        ("Pacific/Apia", "2011-12-31", "2011-12-31T09:59:59.999999"),
    ],
)
def test_a_day_ends_with_its_last_microsecond_on_the_local_clock(zone, day, expected):
    assert end_of_day(date.fromisoformat(day), ZoneInfo(zone)) == utc(expected)


@pytest.mark.parametrize(
    "name", ["Europe/Helsinki", "America/Argentina/Ushuaia", "UTC", "Etc/GMT+5"]
)
def test_a_zone_is_loaded_once_by_its_exact_name(name):
    assert load_zone(name).key == name
    assert load_zone(name) is load_zone(name)


def test_every_zone_that_is_offered_can_be_loaded():
    assert len(zone_names()) > 400
    assert {load_zone(name).key for name in zone_names()} == zone_names()


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "Europe/helsinki",
        "EUROPE/HELSINKI",
        "Europe/Helsinki ",
        "Europe/Helsinki\n",
        "Europe/Helsinki\x00",
        "Europe",
        "Europe/",
        "/Europe/Helsinki",
        "../Europe/Helsinki",
        "../../etc/passwd",
        "Europe/../Europe/Helsinki",
        "/usr/share/zoneinfo/Europe/Helsinki",
        "posix/Europe/Helsinki",
        "right/Europe/Helsinki",
        "posixrules",
        "localtime",
        "Factory",
        "tzdata.zi",
        "zone.tab",
        "Mars/Phobos",
        "+02:00",
        "\ud800",
        "x" * 100_000,
        None,
        2,
        True,
        b"Europe/Helsinki",
        ["Europe/Helsinki"],
        {"name": "Europe/Helsinki"},
        ZoneInfo("Europe/Helsinki"),
    ],
    ids=lambda name: repr(name)[:40],
)
def test_anything_else_is_an_unknown_zone(name):
    with pytest.raises(UnknownZone) as refusal:
        load_zone(name)

    assert isinstance(refusal.value, ValueError)
    assert len(str(refusal.value)) < 150
