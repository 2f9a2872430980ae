"""The fast code against a slow one that nobody can doubt, over every zone and its clock changes.

The reference looks at every day from the anchor on and finds a wall time by trying every offset
that was in force around it; it knows nothing of indexes or of PEP 495's fold.
"""

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo, available_timezones

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schedules.localtime import Gap, end_of_day, resolve, to_wall
from schedules.recurrence import (
    Frequency,
    MonthEnd,
    Rule,
    due_occurrences,
    next_occurrence,
    occurrences,
)

ENOUGH = 25
TEN_MINUTES = timedelta(minutes=10)
QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
ZONES = sorted(available_timezones())
EVENTFUL = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "America/Havana",
    "America/New_York",
    "America/Santiago",
    "America/Scoresbysund",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Asia/Tehran",
    "Australia/Lord_Howe",
    "Europe/Dublin",
    "Europe/Helsinki",
    "Pacific/Apia",
    "Pacific/Fakaofo",
]

thoroughly = settings(
    max_examples=150,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Plan:
    anchor: datetime
    zone: ZoneInfo
    rule: Rule

    @property
    def horizon(self) -> datetime:
        """How far the reference looks."""
        years = 12 if self.rule.frequency is Frequency.YEARLY else 4
        return self.anchor + timedelta(days=366 * years)


# The reference.


def shown_at(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def slowly_resolved(wall: datetime, zone: ZoneInfo, gap: Gap) -> datetime | None:
    """The first instant that shows the wall time, tried with every offset of the days around."""
    as_utc = wall.replace(tzinfo=UTC)
    around = [as_utc + step * QUARTER for step in range(-27 * 4, 27 * 4)]
    tried = {as_utc - each.astimezone(zone).utcoffset() for each in around}
    shows_it = [each for each in tried if shown_at(each, zone) == wall]
    if shows_it:
        return min(shows_it)
    if gap is Gap.SKIP:
        return None
    before_the_gap = max(each for each in around if shown_at(each, zone) < wall)
    return as_utc - before_the_gap.astimezone(zone).utcoffset()


def is_day_of(rule: Rule, first: date, day: date) -> bool:
    months = (day.year - first.year) * 12 + day.month - first.month
    days_in_month = monthrange(day.year, day.month)[1]
    falls_on = (
        day.day == min(first.day, days_in_month)
        if rule.month_end is MonthEnd.LAST
        else day.day == first.day
    )
    if rule.frequency is Frequency.DAILY:
        return (day - first).days % rule.interval == 0
    if rule.frequency is Frequency.WEEKLY:
        monday = day - day.weekday() * DAY
        first_monday = first - first.weekday() * DAY
        is_week = (monday - first_monday).days // 7 % rule.interval == 0
        return is_week and day.weekday() in (rule.weekdays or {first.weekday()})
    if rule.frequency is Frequency.MONTHLY:
        return falls_on and months % rule.interval == 0
    is_year = (day.year - first.year) % rule.interval == 0
    return falls_on and day.month == first.month and is_year


def slow_instants(plan: Plan) -> Iterator[datetime]:
    """The instants to the horizon without the rule's end and count, perhaps one twice."""
    rule, zone, moment = plan.rule, plan.zone, plan.anchor
    if rule.frequency is Frequency.HOURLY:
        while True:
            yield moment
            for _ in range(rule.interval):
                moment += timedelta(hours=1)
    first = shown_at(plan.anchor, zone)
    day = first.date()
    while day <= plan.horizon.date() + 2 * DAY:
        if is_day_of(rule, first.date(), day):
            wall = datetime.combine(day, first.time())
            instant = plan.anchor if wall == first else slowly_resolved(wall, zone, rule.gap)
            if instant is not None:
                yield instant
        day += DAY


def slow_occurrences(plan: Plan) -> list[datetime]:
    """As many as are enough, to the horizon at most."""
    found = []
    for instant in slow_instants(plan):
        is_over = len(found) == min(plan.rule.count or ENOUGH, ENOUGH)
        if is_over or instant > min(plan.rule.until or plan.horizon, plan.horizon):
            break
        if instant not in found:
            found.append(instant)
    return found


def fast_occurrences(plan: Plan) -> list[datetime]:
    found = occurrences(plan.anchor, plan.zone, plan.rule)
    return list(islice(takewhile(lambda each: each <= plan.horizon, found), ENOUGH))


# What is tried: any anchor, but most of them so that a call falls near a change of the clock.


@cache
def clock_changes(zone: ZoneInfo) -> list[datetime]:
    """The minutes, in UTC, at which the zone takes another offset."""
    days = [datetime(2000, 1, 1, tzinfo=UTC) + step * DAY for step in range(365 * 38)]
    offsets = [each.astimezone(zone).utcoffset() for each in days]
    changed = [
        day for day, (one, other) in zip(days, pairwise(offsets), strict=False) if one != other
    ]
    return [change_of(day, zone) for day in changed]


def change_of(day: datetime, zone: ZoneInfo) -> datetime:
    """The minute of the 24 hours from here at which the offset changes."""
    offset = day.astimezone(zone).utcoffset()

    def has_changed(minute: int) -> bool:
        return (day + timedelta(minutes=minute)).astimezone(zone).utcoffset() != offset

    return day + timedelta(minutes=bisect_left(range(24 * 60), True, key=has_changed))


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    frequency = draw(st.sampled_from([Frequency.DAILY, *Frequency]))
    weekdays = st.frozensets(st.integers(0, 6), max_size=4)
    return Rule(
        frequency=frequency,
        interval=draw(st.sampled_from([1, 1, 1, 2, 3, 5, 24])),
        count=draw(st.none() | st.integers(1, 30)),
        weekdays=draw(weekdays) if frequency is Frequency.WEEKLY else frozenset(),
        gap=draw(st.sampled_from(Gap)),
        month_end=draw(st.sampled_from(MonthEnd)),
    )


def moved_back(wall: datetime, rule: Rule, steps: int) -> datetime:
    """The wall time so many steps of the rule earlier, on the same day of the month."""
    match rule.frequency:
        case Frequency.HOURLY:
            return wall - timedelta(hours=steps * rule.interval)
        case Frequency.DAILY:
            return wall - steps * rule.interval * DAY
        case Frequency.WEEKLY:
            return wall - 7 * steps * rule.interval * DAY
        case Frequency.MONTHLY:
            year, month = divmod(wall.year * 12 + wall.month - 1 - steps * rule.interval, 12)
        case _:
            year, month = wall.year - steps % 3 * rule.interval, wall.month - 1
    day = min(wall.day, monthrange(year, month + 1)[1])
    return wall.replace(year=year, month=month + 1, day=day)


@st.composite
def walls(draw: st.DrawFn, zone: ZoneInfo, rule: Rule) -> datetime:
    changes = clock_changes(zone)
    if not changes or draw(st.integers(0, 4)) == 0:
        return draw(st.datetimes(datetime(2000, 1, 1), datetime(2037, 12, 31)))  # noqa: DTZ001
    close, within_a_day = st.integers(-7, 7), st.integers(-25 * 6, 18)
    steps_of_ten_minutes = draw(close | close | within_a_day)
    near = shown_at(draw(st.sampled_from(changes)), zone) + steps_of_ten_minutes * TEN_MINUTES
    return moved_back(near, rule, draw(st.integers(0, 12)))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    zone = ZoneInfo(draw(st.sampled_from(EVENTFUL) | st.sampled_from(ZONES)))
    rule = draw(rules())
    local = draw(walls(zone, rule)).replace(tzinfo=zone, fold=draw(st.integers(0, 1)))
    written_in = timezone(QUARTER * draw(st.integers(-48, 56)))
    plan = Plan(local.astimezone(UTC).astimezone(written_in), zone, rule)
    ends_after = draw(st.none() | st.integers(0, 4 * 365 * 24))
    if ends_after is None:
        return plan
    return replace(plan, rule=replace(rule, until=plan.anchor + timedelta(hours=ends_after)))


# What holds.


@settings(thoroughly, max_examples=300)
@given(plans())
def test_the_occurrences_are_those_of_the_slow_reference(plan):
    assert fast_occurrences(plan) == slow_occurrences(plan)


@thoroughly
@given(plans())
def test_occurrences_are_in_order_between_anchor_and_end_and_no_wall_time_is_called_twice(plan):
    found = fast_occurrences(plan)

    assert all(one < other for one, other in pairwise(found))
    assert all(plan.anchor <= each <= (plan.rule.until or plan.horizon) for each in found)
    assert all(each.tzinfo is UTC for each in found)
    if plan.rule.frequency is not Frequency.HOURLY:
        assert len({shown_at(each, plan.zone) for each in found}) == len(found)


@thoroughly
@given(plans(), st.lists(st.floats(-0.1, 1), max_size=3))
def test_the_next_one_is_the_first_of_all_that_is_later(plan, fractions):
    known = fast_occurrences(plan)
    span = plan.horizon - plan.anchor
    moments = [plan.anchor + fraction * span for fraction in fractions]
    for each in known:
        moments += [each - timedelta.resolution, each, each + timedelta.resolution]

    for after in moments:
        later = [each for each in known if each > after]
        found = next_occurrence(plan.anchor, plan.zone, plan.rule, after=after)
        if later:
            assert found == later[0]
        elif found is not None:
            assert found > max([after, *known])


@thoroughly
@given(plans(), st.floats(0, 1))
def test_the_next_one_after_years_is_found_as_by_walking(plan, fraction):
    far = plan.anchor + fraction * (plan.horizon - plan.anchor)
    walk = occurrences(plan.anchor, plan.zone, plan.rule)

    found = next_occurrence(plan.anchor, plan.zone, plan.rule, after=far)

    assert found == next((each for each in walk if each > far), None)


@thoroughly
@given(
    plans(),
    st.integers(-2, ENOUGH),
    st.integers(-2, ENOUGH),
    st.sampled_from([-1, 0, 1]),
    st.integers(0, ENOUGH),
)
def test_the_due_ones_are_a_slice_of_all(plan, one, other, microseconds, limit):
    known = fast_occurrences(plan)
    edges = [plan.anchor - DAY, *known]
    start = edges[min(max(one, 0), len(edges) - 1)] + microseconds * timedelta.resolution
    end = edges[min(max(other, 0), len(edges) - 1)]

    due = due_occurrences(plan.anchor, plan.zone, plan.rule, start=start, end=end, limit=limit)

    assert due == [each for each in known if start <= each <= end][:limit]


@thoroughly
@given(st.sampled_from(EVENTFUL) | st.sampled_from(ZONES), st.data(), st.sampled_from(Gap))
def test_a_wall_time_is_resolved_as_by_trying_every_offset(name, data, gap):
    zone = ZoneInfo(name)
    wall = data.draw(walls(zone, Rule(Frequency.HOURLY)))

    assert resolve(wall, zone, gap=gap) == slowly_resolved(wall, zone, gap)


@thoroughly
@given(st.sampled_from(EVENTFUL) | st.sampled_from(ZONES), st.data())
def test_a_day_ends_where_the_local_date_changes_for_good(name, data):
    zone = ZoneInfo(name)
    day = data.draw(walls(zone, Rule(Frequency.HOURLY))).date()

    end = end_of_day(day, zone)

    quarters = [end + timedelta.resolution + step * QUARTER for step in range(24 * 4)]
    assert to_wall(end, zone).date() <= day
    assert all(to_wall(each, zone).date() > day for each in quarters)
