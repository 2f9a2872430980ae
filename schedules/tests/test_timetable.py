"""The timetable: a rule's occurrences as far as the calling window lets."""

from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.calling_window import parse_calling_window
from schedules.crontab import parse_crontab
from schedules.localtime import Gap
from schedules.models import CallSchedule
from schedules.recurrence import Frequency, Rule, occurrences
from schedules.repeat_config import WEEKDAYS
from schedules.timetable import Timetable

NEW_YORK = ZoneInfo("America/New_York")
TOKYO = ZoneInfo("Asia/Tokyo")
INSTANT = timedelta.resolution


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def timetable(anchor, rule=None, *, hours=("08:00", "21:00"), zone=NEW_YORK, zones=None, days=()):
    raw = {"start": hours[0], "end": hours[1]} | ({"days": days} if days else {})
    window = parse_calling_window(raw)
    return Timetable(utc(anchor), zone, rule, window, zones or (zone,))


HOURLY = Rule(Frequency.HOURLY)
DAILY = Rule(Frequency.DAILY)


def test_an_hourly_rule_calls_hourly_within_its_window():
    # 20:30 and 08:30 in New York, in winter.
    calls = timetable("2026-01-12T13:30", HOURLY)

    assert calls.next(utc("2026-01-13T00:30")) == utc("2026-01-13T01:30")
    assert calls.next(utc("2026-01-13T01:30")) == utc("2026-01-13T13:30")


def test_what_follows_is_strictly_later():
    calls = timetable("2026-01-12T13:30", HOURLY)

    assert calls.next(utc("2026-01-12T13:30") - INSTANT) == utc("2026-01-12T13:30")
    assert calls.next(utc("2026-01-12T13:30")) == utc("2026-01-12T14:30")


def test_due_ones_are_those_within_the_window():
    calls = timetable("2026-01-12T13:00", HOURLY, hours=("08:00", "10:00"))

    found = calls.due(utc("2026-01-12T13:00"), utc("2026-01-14T13:00"), 100)

    assert found == [utc(f"2026-01-{day}T{hour}:00") for day in (12, 13) for hour in (13, 14)] + [
        utc("2026-01-14T13:00")
    ]
    assert calls.due(utc("2026-01-12T13:00"), utc("2026-01-14T13:00"), 3) == found[:3]
    assert calls.due(utc("2026-01-12T13:00"), utc("2026-01-14T13:00"), 0) == []


def test_a_rule_that_never_falls_into_its_window_has_no_next():
    assert timetable("2026-01-12T08:00", DAILY).next(utc("2026-01-12T00:00")) is None


def test_a_rule_that_falls_into_its_window_in_summer_alone_waits_for_it():
    # 07:30 in New York is 21:30 in Tokyo in winter and 20:30 in summer.
    calls = timetable("2026-01-12T12:30", DAILY, zones=(TOKYO,))

    assert calls.next(utc("2026-01-12T00:00")) == utc("2026-03-08T11:30")


def test_a_rule_of_every_hour_finds_a_window_of_one_hour_a_week():
    calls = timetable("2026-01-12T13:30", HOURLY, hours=("09:00", "10:00"), days=["sun"])

    assert calls.next(utc("2026-01-12T13:30")) == utc("2026-01-18T14:30")


def test_the_end_of_a_rule_is_the_end():
    calls = timetable("2026-01-12T13:30", Rule(Frequency.HOURLY, count=3))

    assert calls.next(utc("2026-01-12T15:30")) is None


def test_a_one_time_call_stands_as_it_is():
    calls = timetable("2026-01-12T05:00")  # midnight in New York

    assert calls.next(utc("2026-01-12T00:00")) == utc("2026-01-12T05:00")
    assert calls.due(utc("2026-01-12T00:00"), utc("2026-01-13T00:00"), 5) == [
        utc("2026-01-12T05:00")
    ]


def test_what_is_passed_over_is_marked_with_its_reason():
    calls = timetable("2026-01-12T12:30", HOURLY)  # 07:30 in New York

    first, second = islice(calls.marked(utc("2026-01-12T00:00")), 2)

    assert (first.at, first.wall, str(first.mark)) == (
        None,
        datetime.fromisoformat("2026-01-12T07:30"),
        "skipped",
    )
    assert first.because == (
        "It is outside the calling window, 08:00 to 21:00 every day, on the schedule's clock."
    )
    assert (second.at, second.mark, second.because) == (utc("2026-01-12T13:30"), "none", "")


@pytest.mark.parametrize("hours", [("08:00", "21:00"), ("21:00", "08:00")])
def test_marks_and_next_tell_of_the_same_calls(hours):
    calls = timetable("2026-03-07T07:30", Rule(Frequency.HOURLY, interval=5), hours=hours)
    start = utc("2026-03-07T00:00")

    marked = [each.at for each in islice(calls.marked(start), 60) if each.at]

    followed, after = [], start
    for _ in marked:
        after = calls.next(after)
        followed.append(after)
    assert marked == followed
    assert calls.due(start, marked[-1], 1000) == marked


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([HOURLY, Rule(Frequency.HOURLY, interval=7), DAILY]),
    st.tuples(st.integers(0, 23), st.integers(0, 23)).filter(lambda hours: hours[0] != hours[1]),
    st.frozensets(st.sampled_from(WEEKDAYS), min_size=1),
    st.lists(st.sampled_from([NEW_YORK, TOKYO]), min_size=1, unique=True),
    st.integers(0, 3000),
)
def test_the_next_call_is_the_first_of_the_rule_that_is_open(rule, hours, days, zones, passed):
    calls = timetable(
        "2026-02-20T13:30",
        rule,
        hours=tuple(f"{hour:02}:00" for hour in hours),
        days=sorted(days),
        zones=tuple(zones),
    )
    after = calls.anchor + timedelta(hours=passed)

    found = calls.next(after)

    opened = (
        each
        for each in islice(occurrences(calls.anchor, NEW_YORK, rule), 6000)
        if each > after and calls.window.is_open(each, zones)
    )
    expected = next(opened, None)
    assert found == expected or (expected is None and found is not None)


def test_a_night_on_which_the_clock_changes_is_marked():
    spring = Timetable(utc("2026-03-07T07:30"), NEW_YORK, DAILY)
    autumn = Timetable(utc("2026-10-31T05:30"), NEW_YORK, DAILY)

    moved = list(islice(spring.marked(utc("2026-03-07T08:00")), 2))
    twice = list(islice(autumn.marked(utc("2026-10-31T08:00")), 2))

    assert [each.mark for each in moved] == ["moved", "none"]
    assert moved[0].at == utc("2026-03-08T07:30")
    assert [each.mark for each in twice] == ["first_of_two", "none"]


def test_a_schedule_has_a_timetable():
    schedule = CallSchedule(
        phone="+12125551234",
        scheduled_time=utc("2026-01-12T12:30"),
        timezone="Europe/Berlin",
        repeat_config={"enabled": True, "frequency": "hourly"},
        calling_window={"start": "08:00", "end": "21:00", "zone": "number"},
        retry_policy={"on": ["busy"], "attempts": 2, "delays": [60]},
    )

    assert schedule.window_zones == (NEW_YORK,)
    assert schedule.timetable.next(utc("2026-01-12T00:00")) == utc("2026-01-12T13:30")
    assert schedule.retries.delay_after(1) == timedelta(seconds=60)


def test_a_schedule_without_a_window_has_its_rule_alone():
    schedule = CallSchedule(
        phone="+12125551234", scheduled_time=utc("2026-01-12T12:30"), timezone="UTC"
    )

    assert (schedule.window, schedule.window_zones, schedule.retries) == (None, (), None)
    assert schedule.timetable.next(utc("2026-01-12T00:00")) == utc("2026-01-12T12:30")


def test_a_time_that_the_clock_skips_is_kept_by_its_wall_time():
    schedule = CallSchedule(
        phone="+12125551234",
        scheduled_time=utc("2026-03-08T07:30"),
        wall_time="2026-03-08T02:30:00",
        timezone="America/New_York",
        repeat_config={"enabled": True, "frequency": "daily"},
    )

    calls = schedule.timetable

    assert calls.next(utc("2026-03-08T07:00")) == utc("2026-03-08T07:30")
    assert calls.next(utc("2026-03-08T07:30")) == utc("2026-03-09T06:30")


AT_NIGHT = {
    "hours": ("02:00", "03:00")
}  # open on every night but that of 8 March, when 02:30 is 03:30
FROM_HALF_PAST_TWO = "2026-03-01T07:30"


def test_a_call_that_a_clock_change_moves_out_of_its_window_waits_for_the_next_opening():
    weekly = Rule(Frequency.WEEKLY)  # Sundays
    calls = timetable(FROM_HALF_PAST_TWO, weekly, **AT_NIGHT)

    moved = calls.next(utc("2026-03-01T07:30"))

    assert moved == utc("2026-03-09T06:00")  # Monday 02:00
    assert calls.next(moved) == utc("2026-03-15T06:30")
    assert calls.due(utc("2026-03-02T00:00"), utc("2026-03-20T00:00"), 9) == [
        utc("2026-03-09T06:00"),
        utc("2026-03-15T06:30"),
    ]


def test_its_mark_says_what_moved_it():
    calls = timetable(FROM_HALF_PAST_TWO, Rule(Frequency.WEEKLY), **AT_NIGHT)

    moved, following = islice(calls.marked(utc("2026-03-01T07:30")), 2)

    assert (moved.at, moved.wall, str(moved.mark)) == (
        utc("2026-03-09T06:00"),
        datetime.fromisoformat("2026-03-08T02:30"),
        "moved",
    )
    assert "the clock skips 02:30 that day" in moved.because
    assert "02:00 to 03:00 every day" in moved.because
    assert following.at == utc("2026-03-15T06:30")


def test_seen_from_between_it_still_waits():
    calls = timetable(FROM_HALF_PAST_TWO, Rule(Frequency.WEEKLY), **AT_NIGHT)
    between = utc("2026-03-08T12:00")

    assert calls.next(between) == utc("2026-03-09T06:00")
    assert next(iter(calls.marked(between))).at == utc("2026-03-09T06:00")


def test_an_opening_at_which_the_rule_calls_anyway_is_called_once():
    rule = Rule(crontab=parse_crontab("0,30 2 * * *"))
    calls = timetable("2026-03-07T07:00", rule, **AT_NIGHT)

    days = calls.due(utc("2026-03-08T00:00"), utc("2026-03-09T23:00"), 9)
    skipped = [each for each in islice(calls.marked(utc("2026-03-08T00:00")), 4) if not each.at]

    assert days == [utc("2026-03-09T06:00"), utc("2026-03-09T06:30")]
    assert skipped
    assert "is called anyway" in skipped[0].because


def test_what_was_never_inside_is_passed_over_on_that_night_too():
    calls = timetable(FROM_HALF_PAST_TWO, DAILY, hours=("08:00", "21:00"))

    assert calls.next(utc("2026-03-01T00:00")) is None


@pytest.mark.parametrize(
    "rule",
    [
        Rule(Frequency.WEEKLY, until=utc("2026-03-08T23:00")),
        Rule(Frequency.WEEKLY, until=utc("2026-03-09T23:00"), excluded_days={date(2026, 3, 9)}),
        Rule(Frequency.WEEKLY, until=utc("2026-03-09T23:00"), gap=Gap.SKIP),
    ],
)
def test_nobody_is_called_at_an_opening_after_the_end_or_on_an_excluded_day(rule):
    calls = timetable(FROM_HALF_PAST_TWO, rule, **AT_NIGHT)

    assert calls.next(utc("2026-03-01T07:30")) is None
    assert [each.at for each in calls.marked(utc("2026-03-01T07:30"))] == [None]


@settings(deadline=None, max_examples=80)
@given(
    st.sampled_from([DAILY, Rule(Frequency.WEEKLY), Rule(crontab=parse_crontab("*/15 1,2 * * *"))]),
    st.sampled_from(
        [("02:00", "03:00"), ("01:30", "02:45"), ("02:30", "02:40"), ("03:00", "02:45")]
    ),
    st.sampled_from([NEW_YORK, ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Europe/Helsinki")]),
    st.integers(2000, 2037),
)
def test_around_a_change_the_preview_is_what_is_armed(rule, hours, zone, year):
    anchor = datetime(year, 2, 20, 2, 30, tzinfo=zone).astimezone(UTC)
    calls = timetable(f"{anchor:%Y-%m-%dT%H:%M}", rule, hours=hours, zone=zone)
    start, end = anchor, anchor + timedelta(days=60)

    marked = [each.at for each in takewhile_before(calls.marked(start), end) if each.at]

    armed, after = [], start
    while (after := calls.next(after)) and after <= end:
        armed.append(after)
    assert marked == armed == calls.due(start + timedelta(microseconds=1), end, 100_000)
    assert all(calls.window.is_open(each, (zone,)) for each in armed)


def takewhile_before(marked, end):
    for each in marked:
        if (each.at and each.at > end) or each.wall > end.replace(tzinfo=None) + timedelta(days=2):
            return
        yield each
