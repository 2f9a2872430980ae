"""Crontabs against a clock that is watched minute by minute, over every zone and its changes."""

from datetime import UTC, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.crontab import parse_crontab
from schedules.localtime import Gap
from schedules.recurrence import Frequency, Rule, next_occurrence, occurrences
from schedules.tests.test_recurrence_properties import (
    EVENTFUL,
    ZONES,
    Plan,
    shown_at,
    thoroughly,
    walls,
)

MINUTE = timedelta(minutes=1)
DENSE, SPARSE = timedelta(days=3), timedelta(days=40)
RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]


# The reference.


def numbers_of(field, lowest, highest) -> set[int]:
    found = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if first == "*":
            first, last = lowest, highest
        found |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return found


def reader_of(line):
    """Whether a wall time is one that the line names."""
    fields = line.split()
    minutes, hours, days, months, weekdays = (
        numbers_of(field, *bounds) for field, bounds in zip(fields, RANGES, strict=True)
    )
    is_open = fields[2].startswith("*") or fields[4].startswith("*")

    def is_named(wall) -> bool:
        if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
            return False
        is_day = wall.day in days
        is_weekday = wall.isoweekday() % 7 in weekdays or wall.isoweekday() in weekdays
        return is_day and is_weekday if is_open else is_day or is_weekday

    return is_named


def watched(plan, line, end) -> list:
    """Watch the clock on the wall from the anchor on, and call what it shows for the first time.

    What it leaps over is called as much later as it leaps."""
    is_named = reader_of(line)
    first = shown_at(plan.anchor, plan.zone)
    calls, seen = set(), set()
    moment = (plan.anchor - timedelta(days=2)).replace(second=0, microsecond=0)
    wall = shown_at(moment, plan.zone)
    while moment <= end:
        leap = shown_at(moment + MINUTE, plan.zone) - wall - MINUTE
        steps = 1 + max(leap // MINUTE, 0)
        for step in range(1, steps + 1):
            is_leapt_over = step < steps
            called_at = moment + (step if is_leapt_over else 1) * MINUTE
            named = wall + step * MINUTE if leap > timedelta(0) else wall + MINUTE + leap
            if named < first or called_at < plan.anchor or named in seen:
                continue
            if is_leapt_over and plan.rule.gap is Gap.SKIP:
                continue
            seen.add(named)
            if is_named(named):
                calls.add(called_at)
        moment += MINUTE
        wall = shown_at(moment, plan.zone)
    return sorted(each for each in calls if each <= end)


# What is tried.


@st.composite
def fields(draw, lowest, highest, *, is_dense) -> str:
    numbers = st.integers(lowest, highest)
    kinds = ["*"] if is_dense else []
    kind = draw(st.sampled_from([*kinds, "/", ",", "-", "-/", "1"]))
    if kind == "*":
        return "*"
    if kind == "/":
        return f"*/{draw(st.integers(1, highest))}"
    if kind == "1":
        return str(draw(numbers))
    first, last = sorted((draw(numbers), draw(numbers)))
    if kind == ",":
        return f"{first},{last}"
    return f"{first}-{last}" + (f"/{draw(st.integers(1, highest))}" if kind == "-/" else "")


@st.composite
def lines(draw, *, is_dense) -> str:
    minute, hour, day, _month, weekday = RANGES
    night = st.sampled_from(["*", "*", "0-4", "1,2,3", "23,0", "*/2"])
    return " ".join(
        [
            draw(fields(*minute, is_dense=is_dense)),
            draw(night | fields(*hour, is_dense=True)),
            draw(st.just("*") | fields(*day, is_dense=True)) if not is_dense else "*",
            draw(st.sampled_from(["*", "*", "1-12/2", "3,10"])) if not is_dense else "*",
            draw(st.just("*") | fields(*weekday, is_dense=True)),
        ]
    )


@st.composite
def cron_plans(draw, *, is_dense) -> tuple[Plan, str]:
    zone = ZoneInfo(draw(st.sampled_from(EVENTFUL) | st.sampled_from(ZONES)))
    line = draw(lines(is_dense=is_dense))
    rule = Rule(crontab=parse_crontab(line), gap=draw(st.sampled_from(Gap)))
    near = draw(walls(zone, Rule(Frequency.HOURLY)))
    local = near.replace(tzinfo=zone, fold=draw(st.integers(0, 1)))
    return Plan(local.astimezone(UTC), zone, rule), line


def called(plan, end) -> list:
    found = occurrences(plan.anchor, plan.zone, plan.rule)
    return list(takewhile(lambda each: each <= end, found))


# What holds.


@settings(thoroughly, max_examples=100)
@given(cron_plans(is_dense=True))
def test_a_dense_crontab_calls_what_the_watched_clock_shows(tried):
    plan, line = tried
    end = plan.anchor + DENSE

    assert called(plan, end) == watched(plan, line, end)


@settings(thoroughly, max_examples=30)
@given(cron_plans(is_dense=False))
def test_a_crontab_calls_what_the_watched_clock_shows_for_weeks(tried):
    plan, line = tried
    end = plan.anchor + SPARSE

    assert called(plan, end) == watched(plan, line, end)


@thoroughly
@given(cron_plans(is_dense=True))
def test_calls_are_in_order_and_no_wall_time_is_called_twice(tried):
    plan, _ = tried

    found = list(islice(occurrences(plan.anchor, plan.zone, plan.rule), 400))

    assert all(one < other for one, other in pairwise(found))
    assert all(each >= plan.anchor and each.tzinfo is UTC for each in found)
    assert len({shown_at(each, plan.zone) for each in found}) == len(found)


@thoroughly
@given(cron_plans(is_dense=True), st.lists(st.floats(-0.1, 1), max_size=20))
def test_the_next_one_is_the_same_from_wherever_one_looks(tried, fractions):
    plan, _ = tried
    known = called(plan, plan.anchor + DENSE)
    moments = [plan.anchor + fraction * DENSE for fraction in fractions]
    moments += [each + step * timedelta.resolution for each in known[:99] for step in (-1, 0, 1)]

    for after in moments:
        later = next((each for each in known if each > after), None)
        found = next_occurrence(plan.anchor, plan.zone, plan.rule, after=after)
        assert found == later or later is None
