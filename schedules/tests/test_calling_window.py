"""calling_window: what is taken and refused, and when a window is open on real clocks."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.calling_window import (
    CallingWindow,
    InvalidCallingWindow,
    normalise_calling_window,
    parse_calling_window,
)

NEW_YORK = ZoneInfo("America/New_York")
BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(start, end, days=(), zone="schedule"):
    raw = {"start": start, "end": end, "zone": zone}
    return parse_calling_window(raw | ({"days": list(days)} if days else {}))


# -- what is taken -----------------------------------------------------------------------------
def test_a_window_is_stored_with_every_key():
    stored = normalise_calling_window({"end": "21:00", "start": "08:00"})

    assert stored == {
        "days": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
        "zone": "schedule",
        "start": "08:00",
        "end": "21:00",
    }
    assert normalise_calling_window(stored) == stored


def test_days_are_stored_by_their_names_in_the_order_of_the_week():
    stored = normalise_calling_window({"start": "08:00", "end": "24:00", "days": ["FR", "mon"]})

    assert stored["days"] == ["monday", "friday"]


@pytest.mark.parametrize("nothing", [None, {}, {"start": None, "zone": None}])
def test_nothing_is_no_window(nothing):
    assert normalise_calling_window(nothing) is None
    assert parse_calling_window(nothing) is None


@pytest.mark.parametrize(
    ("raw", "field", "issue"),
    [
        ([], "calling_window", "Must be an object or null."),
        ("08:00-21:00", "calling_window", "Must be an object or null."),
        ({"start": "08:00"}, "calling_window.end", "Required"),
        ({"end": "08:00"}, "calling_window.start", "Required"),
        ({"zone": "number"}, "calling_window.start", "Required"),
        ({"start": "8:00", "end": "21:00"}, "calling_window.start", "from 00:00 to 23:59"),
        ({"start": "24:00", "end": "21:00"}, "calling_window.start", "from 00:00 to 23:59"),
        ({"start": "08:60", "end": "21:00"}, "calling_window.start", "from 00:00 to 23:59"),
        ({"start": 8, "end": "21:00"}, "calling_window.start", "from 00:00 to 23:59"),
        ({"start": "08:00", "end": "24:01"}, "calling_window.end", "from 00:00 to 24:00"),
        ({"start": "08:00", "end": "08:00"}, "calling_window.end", "Is the start"),
        ({"start": "08:00", "end": "21:00", "days": []}, "calling_window.days", "at least one"),
        (
            {"start": "08:00", "end": "21:00", "days": ["mon", "monday"]},
            "calling_window.days",
            "Names monday more than once.",
        ),
        (
            {"start": "08:00", "end": "21:00", "days": ["montag"]},
            "calling_window.days",
            "'montag' is not a weekday",
        ),
        ({"start": "08:00", "end": "21:00", "days": [1]}, "calling_window.days", "not a weekday"),
        (
            {"start": "08:00", "end": "21:00", "zone": "Mars/Olympus"},
            "calling_window.zone",
            "an IANA time zone name",
        ),
        ({"start": "08:00", "end": "21:00", "zone": 5}, "calling_window.zone", "an IANA"),
        ({"start": "08:00", "end": "21:00", "zone": []}, "calling_window.zone", "an IANA"),
        ({"begin": "08:00"}, "calling_window.begin", "Unknown key"),
        ({"strat": "08:00"}, "calling_window.strat", "did you mean start?"),
        ({"\ud800": 1}, "calling_window.\\ud800", "Unknown key"),
    ],
)
def test_a_refusal_names_the_key_and_says_what_would_be_right(raw, field, issue):
    with pytest.raises(InvalidCallingWindow) as refused:
        parse_calling_window(raw)

    assert refused.value.field == field
    assert issue in refused.value.issue


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"start": "08:00", "end": "21:00"}, "08:00 to 21:00 every day, on the schedule's clock"),
        (
            {"start": "08:00", "end": "24:00", "days": ["fr", "mo"], "zone": "number"},
            "08:00 to 24:00 on Monday, Friday, on the called number's clock",
        ),
        (
            {"start": "21:30", "end": "05:00", "zone": "Europe/Berlin"},
            "21:30 to 05:00 of the next day every day, on the clock of Europe/Berlin",
        ),
    ],
)
def test_a_window_in_words(raw, words):
    assert parse_calling_window(raw).in_words() == words


# -- when it is open ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("hours", "moment", "is_open"),
    [
        (("08:00", "21:00"), "2026-01-12T07:59:59.999999", False),
        (("08:00", "21:00"), "2026-01-12T08:00", True),
        (("08:00", "21:00"), "2026-01-12T20:59:59.999999", True),
        (("08:00", "21:00"), "2026-01-12T21:00", False),
        (("08:00", "24:00"), "2026-01-12T23:59:59.999999", True),
        (("08:00", "24:00"), "2026-01-13T00:00", False),
        (("22:00", "02:00"), "2026-01-12T21:59", False),
        (("22:00", "02:00"), "2026-01-12T23:00", True),
        (("22:00", "02:00"), "2026-01-13T01:59", True),
        (("22:00", "02:00"), "2026-01-13T02:00", False),
        # The 12th is a Monday: a window over midnight belongs to the day on which it starts.
        (("22:00", "02:00", ["mon"]), "2026-01-13T01:00", True),
        (("22:00", "02:00", ["mon"]), "2026-01-12T01:00", False),
        (("22:00", "02:00", ["mon"]), "2026-01-13T23:00", False),
        (("22:00", "00:00", ["mon"]), "2026-01-13T00:00", False),
        (("08:00", "21:00", ["tue"]), "2026-01-12T12:00", False),
    ],
)
def test_a_window_is_half_open(hours, moment, is_open):
    assert window(*hours).is_open(utc(moment), [ZoneInfo("UTC")]) is is_open


@pytest.mark.parametrize(
    ("zone", "hours", "moment", "opening"),
    [
        ("UTC", ("08:00", "21:00"), "2026-01-12T12:00:01", "2026-01-12T12:00:01"),
        ("UTC", ("08:00", "21:00"), "2026-01-12T21:00", "2026-01-13T08:00"),
        ("UTC", ("08:00", "21:00", ["mon"]), "2026-01-12T21:00", "2026-01-19T08:00"),
        ("UTC", ("22:00", "02:00", ["mon"]), "2026-01-13T02:00", "2026-01-19T22:00"),
        # New York goes from 02:00 to 03:00 on 8 March 2026, and back from 02:00 on 1 November.
        ("America/New_York", ("08:00", "21:00"), "2026-03-08T02:00", "2026-03-08T12:00"),
        ("America/New_York", ("02:30", "05:00"), "2026-03-08T06:00", "2026-03-08T07:00"),
        ("America/New_York", ("02:15", "02:45"), "2026-03-08T06:00", "2026-03-09T06:15"),
        ("America/New_York", ("01:30", "01:45"), "2026-11-01T05:45", "2026-11-01T06:30"),
        ("America/New_York", ("00:00", "01:30"), "2026-11-01T05:30", "2026-11-01T06:00"),
        ("America/New_York", ("01:00", "02:00"), "2026-11-01T05:59", "2026-11-01T05:59"),
        ("America/New_York", ("08:00", "21:00"), "2026-11-01T01:00", "2026-11-01T13:00"),
        # Lord Howe's clock goes forward by half an hour, from 02:00 to 02:30.
        ("Australia/Lord_Howe", ("02:10", "04:00"), "2026-10-03T15:00", "2026-10-03T15:30"),
        # Apia left out Friday, 30 December 2011.
        ("Pacific/Apia", ("09:00", "17:00", ["fri"]), "2011-12-30T04:00", "2012-01-05T19:00"),
        ("Pacific/Apia", ("09:00", "17:00", ["sat"]), "2011-12-30T04:00", "2011-12-30T19:00"),
        ("Asia/Kathmandu", ("08:00", "21:00"), "2026-01-12T00:00", "2026-01-12T02:15"),
    ],
)
def test_the_next_opening_on_a_real_clock(zone, hours, moment, opening):
    assert window(*hours).next_opening(utc(moment), [ZoneInfo(zone)]) == utc(opening)


def test_all_zones_must_be_open_at_once():
    # 08:00 to 21:00 in Berlin and in New York: 14:00 to 21:00 in Berlin, in winter.
    both = [BERLIN, NEW_YORK]

    assert window("08:00", "21:00").next_opening(utc("2026-01-12T08:00"), both) == utc(
        "2026-01-12T13:00"
    )
    assert not window("08:00", "21:00").is_open(utc("2026-01-12T12:59"), both)
    assert not window("08:00", "21:00").is_open(utc("2026-01-12T20:00"), both)


def test_zones_that_never_agree_have_no_opening():
    assert (
        window("09:00", "10:00").next_opening(utc("2026-01-12T08:00"), [BERLIN, NEW_YORK]) is None
    )


def test_nothing_is_open_beyond_the_calendar():
    edge = datetime.max.replace(tzinfo=UTC) - timedelta(hours=1)

    assert window("08:00", "21:00").next_opening(edge, [NEW_YORK]) is None


ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia",
        "Asia/Kathmandu", "America/Scoresbysund", "America/St_Johns", "Africa/Casablanca",
    )
]  # fmt: skip
# Most moments lie near a change of some clock.
CHANGES = [
    utc(text)
    for text in (
        "2026-03-08T07:00", "2026-11-01T06:00", "2026-10-03T15:30", "2026-03-29T01:00",
        "2011-12-30T10:00", "2026-02-15T02:00", "2011-03-13T03:31",
    )
]  # fmt: skip
MOMENTS = st.builds(
    lambda change, minutes, seconds: change + timedelta(minutes=minutes, seconds=seconds),
    st.sampled_from(CHANGES),
    st.integers(-3000, 1500),
    st.sampled_from([0, 0, 17]),
)
WINDOWS = st.builds(
    lambda start, length, days: CallingWindow(
        timedelta(minutes=start), timedelta(minutes=(start + length) % 1440 or 1440), days
    ),
    st.integers(0, 1439),
    st.integers(1, 1439),
    st.frozensets(st.integers(0, 6), min_size=1),
)


@settings(deadline=None, max_examples=60)
@given(WINDOWS, MOMENTS, st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True))
def test_the_next_opening_is_what_a_watch_of_every_minute_finds(hours, moment, zones):
    found = hours.next_opening(moment, zones, within=timedelta(days=2))

    watched = [moment]
    minute = moment.replace(second=0) + MINUTE
    watched += [minute + each * MINUTE for each in range(2 * 1440)]
    assert found == next(
        (
            each
            for each in watched
            if each <= moment + timedelta(days=2) and hours.is_open(each, zones)
        ),
        None,
    )
