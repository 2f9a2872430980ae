"""RRULEs against dateutil's wall times, over every zone and its changes.

dateutil names the wall times from the anchor's on, walking; when they are is tried with every
offset. Where dateutil is known to leave RFC 5545 (a list of numbered and plain weekdays, BYWEEKNO
alone, BYSETPOS in a first week that has begun) nothing is drawn; test_rrule.py has those cases.
"""

from datetime import UTC, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from schedules.localtime import Gap
from schedules.recurrence import Frequency, Rule, next_occurrence, occurrences
from schedules.rrule import Recurrence, parse_recurrence
from schedules.tests.test_recurrence_properties import (
    ENOUGH,
    EVENTFUL,
    ZONES,
    Plan,
    shown_at,
    slowly_resolved,
    thoroughly,
    walls,
)

DAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]
TWO_YEARS = timedelta(days=2 * 366)


def of(numbers) -> st.SearchStrategy[str]:
    return st.lists(numbers, min_size=1, max_size=3, unique=True).map(
        lambda each: ",".join(map(str, each))
    )


PLAIN_DAYS = of(st.sampled_from(DAYS))
MONTH_DAYS = of(st.integers(1, 28) | st.integers(-28, -1) | st.just(31))
MONTHS = of(st.integers(1, 12))


@st.composite
def numbered_days(draw) -> str:
    pairs = st.tuples(st.sampled_from([1, 2, 4, -1, -2]), st.sampled_from(DAYS))
    found = draw(st.lists(pairs, min_size=1, max_size=3, unique=True))
    return ",".join(f"{nth}{day}" for nth, day in found)


@st.composite
def day_parts(draw, unit) -> dict[str, str]:
    """Parts that name days together, on at least one day in some years."""
    plain = {"BYDAY": PLAIN_DAYS}
    choices = {
        "DAILY": [{}, plain, {"BYMONTHDAY": MONTH_DAYS}, {"BYMONTH": MONTHS} | plain],
        "WEEKLY": [{}, plain, plain, {"BYMONTH": MONTHS} | plain],
        "MONTHLY": [
            {},
            plain,
            {"BYDAY": numbered_days()},
            {"BYMONTHDAY": of(st.sampled_from([1, 15, 28, 29, 31, -1, -3]))},
            {"BYMONTHDAY": of(st.integers(8, 14)), "BYDAY": PLAIN_DAYS},
        ],
        "YEARLY": [
            {},
            plain,
            {"BYMONTH": MONTHS},
            {"BYMONTH": MONTHS, "BYDAY": numbered_days()},
            {"BYMONTH": MONTHS, "BYDAY": PLAIN_DAYS},
            {"BYDAY": numbered_days()},
            {"BYYEARDAY": of(st.integers(1, 365) | st.integers(-365, -1))},
            {"BYWEEKNO": of(st.integers(1, 52) | st.integers(-51, -1)), "BYDAY": PLAIN_DAYS},
            {"BYMONTH": MONTHS, "BYMONTHDAY": MONTH_DAYS},
            {"BYMONTHDAY": of(st.integers(1, 28)), "BYDAY": PLAIN_DAYS},
        ],
    }
    return {name: draw(value) for name, value in draw(st.sampled_from(choices[unit])).items()}


@st.composite
def texts(draw) -> str:
    unit = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    parts = {"FREQ": unit} | draw(day_parts(unit))
    if interval := draw(st.sampled_from([None, 1, 2, 3, 5])):
        parts["INTERVAL"] = str(interval)
    if draw(st.booleans()):
        parts["WKST"] = draw(st.sampled_from(DAYS))
    if draw(st.integers(0, 2)) == 0:
        parts["BYHOUR"] = draw(of(st.sampled_from([0, 1, 2, 3, 23])))
    if draw(st.integers(0, 2)) == 0:
        parts["BYMINUTE"] = draw(of(st.sampled_from([0, 15, 30, 45])))
    if len(parts) > 1 and unit != "WEEKLY" and draw(st.integers(0, 2)) == 0:
        parts["BYSETPOS"] = draw(st.sampled_from(["1", "-1", "1,-1"]))
        if not any(name.startswith("BY") for name in parts if name != "BYSETPOS"):
            parts["BYHOUR"] = "2"
    if draw(st.booleans()):
        parts["COUNT"] = str(draw(st.integers(1, 30)))
    return ";".join(f"{name}={value}" for name, value in parts.items())


@st.composite
def rrule_plans(draw) -> Plan:
    zone = ZoneInfo(draw(st.sampled_from(EVENTFUL) | st.sampled_from(ZONES)))
    recurrence: Recurrence = parse_recurrence(draw(texts()))
    rule = Rule(recurrence=recurrence, count=recurrence.count, gap=draw(st.sampled_from(Gap)))
    near = draw(walls(zone, Rule(Frequency.DAILY))).replace(microsecond=0)
    local = near.replace(tzinfo=zone, fold=draw(st.integers(0, 1)))
    return Plan(local.astimezone(UTC), zone, rule)


# The reference.


def slow_instant(wall, plan):
    """The first instant that shows the wall time, unless the schedule starts at the second."""
    instant = slowly_resolved(wall, plan.zone, plan.rule.gap)
    if instant is not None and instant < plan.anchor:
        second = wall.replace(tzinfo=plan.zone, fold=1).astimezone(UTC)
        return second if second >= plan.anchor else None
    return instant


def slow_calls(plan) -> list:
    start = shown_at(plan.anchor, plan.zone)
    text = ";".join(
        part for part in plan.rule.recurrence.text.split(";") if not part.startswith("COUNT")
    )
    named = islice(rrulestr(text, dtstart=start), 4 * ENOUGH)
    resolved = {slow_instant(wall, plan) for wall in named} - {None}
    return sorted(resolved)[: min(plan.rule.count or ENOUGH, ENOUGH)]


# What holds.


@thoroughly
@given(rrule_plans())
def test_an_rrule_calls_dateutil_s_wall_times(plan):
    found = list(islice(occurrences(plan.anchor, plan.zone, plan.rule), ENOUGH))

    assert found == slow_calls(plan)


@thoroughly
@given(rrule_plans())
def test_calls_are_in_order_and_no_wall_time_is_called_twice(plan):
    found = list(islice(occurrences(plan.anchor, plan.zone, plan.rule), 2 * ENOUGH))

    assert all(one < other for one, other in pairwise(found))
    assert all(each >= plan.anchor and each.tzinfo is UTC for each in found)
    assert len({shown_at(each, plan.zone) for each in found}) == len(found)


@thoroughly
@given(rrule_plans(), st.lists(st.floats(-0.1, 1), max_size=9))
def test_the_next_one_is_the_same_from_wherever_one_looks(plan, fractions):
    end = plan.anchor + TWO_YEARS
    calls = occurrences(plan.anchor, plan.zone, plan.rule)
    known = list(takewhile(lambda each: each <= end, calls))
    moments = [plan.anchor + fraction * TWO_YEARS for fraction in fractions]
    moments += [each + step * timedelta.resolution for each in known[-49:] for step in (-1, 0, 1)]

    for after in moments:
        later = next((each for each in known if each > after), None)
        found = next_occurrence(plan.anchor, plan.zone, plan.rule, after=after)
        assert found == later or later is None
