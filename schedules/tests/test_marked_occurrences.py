"""What is shown beforehand: the same calls, with what moved or skipped one."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schedules.localtime import resolve
from schedules.public_holidays import holiday_on
from schedules.recurrence import (
    Mark,
    Rule,
    due_occurrences,
    marked_occurrences,
    next_occurrence,
    occurrences,
)
from schedules.repeat_config import InvalidRepeatConfig, parse_repeat_config
from schedules.tests.test_crontab_properties import cron_plans
from schedules.tests.test_recurrence_properties import (
    Plan,
    plans,
    shown_at,
    thoroughly,
)
from schedules.tests.test_rrule_properties import rrule_plans

NEW_YORK = ZoneInfo("America/New_York")
APIA = ZoneInfo("Pacific/Apia")
PLACES = ["FI", "US", "US-CA", "DE-BY", "IN"]
A_MOMENT = timedelta.resolution


def anchor_of(local: str, zone: ZoneInfo) -> datetime:
    return resolve(datetime.fromisoformat(local), zone)


def marked(config, local: str, number: int, zone: ZoneInfo = NEW_YORK) -> list[str]:
    """As `2026-03-08 02:30 moved to 03:30: why`, with the local time that is called."""
    anchor = anchor_of(local, zone)
    rule = parse_repeat_config(config, anchor=anchor, zone=zone)
    found = marked_occurrences(anchor, zone, rule, after=anchor - A_MOMENT)
    return [line_of(each, zone) for each in islice(found, number)]


def line_of(each, zone) -> str:
    line = f"{each.wall:%m-%d %H:%M}"
    if each.mark is not Mark.NONE:
        line += f" {each.mark}"
    if each.mark is Mark.MOVED:
        line += f" to {each.at.astimezone(zone):%H:%M}"
    return f"{line}: {each.because}" if each.because else line


CASES = {
    "a gap moves one": (
        {"frequency": "daily"},
        "2026-03-07T02:30",
        [
            "03-07 02:30",
            "03-08 02:30 moved to 03:30: the clock skips 02:30 that day",
            "03-09 02:30",
        ],
    ),
    "a gap skips one": (
        {"frequency": "daily", "gap": "skip"},
        "2026-03-07T02:30",
        ["03-07 02:30", "03-08 02:30 skipped: the clock skips 02:30 that day", "03-09 02:30"],
    ),
    "the first of two": (
        {"cron": "30 1 * * *"},
        "2026-10-31T00:00",
        [
            "10-31 01:30",
            "11-01 01:30 first_of_two: the clock shows 01:30 twice that day; this is the first",
            "11-02 01:30",
        ],
    ),
    "one that a gap moves onto another": (
        {"cron": "30 2,3 8 3 *"},
        "2026-03-08T00:00",
        [
            "03-08 02:30 skipped: the clock skips 02:30 that day, and 03:30 is called anyway",
            "03-08 03:30",
            "03-08 02:30",
        ],
    ),
    "a short month moves one": (
        {"frequency": "monthly"},
        "2026-01-31T09:00",
        ["01-31 09:00", "02-28 09:00 moved to 09:00: moved from day 31 to the last day, 28"],
    ),
    "a short month skips one": (
        {"frequency": "monthly", "month_end": "skip"},
        "2026-03-31T09:00",
        ["03-31 09:00", "04-30 09:00 skipped: this month has no day 31", "05-31 09:00"],
    ),
    "a holiday": (
        {"frequency": "daily", "skip_holidays": "FI"},
        "2026-12-05T09:00",
        ["12-05 09:00", "12-06 09:00 skipped: holiday: Independence Day", "12-07 09:00"],
    ),
    "a day among the exdates": (
        {"cron": "0 9,15 * * *", "exdates": ["2026-01-02"]},
        "2026-01-01T12:00",
        [
            "01-01 15:00",
            "01-02 09:00 skipped: excluded by exdates",
            "01-02 15:00 skipped: excluded by exdates",
            "01-03 09:00",
        ],
    ),
    "a time among the exdates": (
        {"rrule": "FREQ=DAILY;BYHOUR=9,15", "exdates": ["2026-01-02T15:00", "2026-01-03T14:00Z"]},
        "2026-01-01T12:00",
        [
            "01-01 15:00",
            "01-02 09:00",
            "01-02 15:00 skipped: excluded by exdates",
            "01-03 09:00 skipped: excluded by exdates",
            "01-03 15:00",
        ],
    ),
    "a time in a gap among the exdates, by either name": (
        {"frequency": "daily", "exdates": ["2026-03-08T02:30"]},
        "2026-03-07T02:30",
        ["03-07 02:30", "03-08 02:30 skipped: excluded by exdates", "03-09 02:30"],
    ),
    "elapsed time has no marks": (
        {"frequency": "hourly"},
        "2026-11-01T00:30",
        ["11-01 00:30", "11-01 01:30", "11-01 01:30", "11-01 02:30"],
    ),
    "one call": (
        None,
        "2026-11-01T01:30",
        ["11-01 01:30 first_of_two: the clock shows 01:30 twice that day; this is the first"],
    ),
}


@pytest.mark.parametrize(("config", "local", "expected"), CASES.values(), ids=CASES)
def test_what_changed_an_occurrence_is_said(config, local, expected):
    assert marked(config, local, len(expected)) == expected


def test_a_day_that_does_not_exist_is_said():
    found = marked({"frequency": "daily"}, "2011-12-29T09:00", 3, APIA)

    assert found == [
        "12-29 09:00",
        "12-30 09:00 skipped: the clock skips 09:00 that day, and 09:00 is called anyway",
        "12-31 09:00",
    ]


def test_an_anchor_that_the_clock_skips_is_shown_as_it_was_asked_for():
    anchor = datetime(2026, 3, 8, 2, 30, tzinfo=NEW_YORK)

    [only] = marked_occurrences(anchor, NEW_YORK, None, after=anchor - timedelta(days=1))

    assert line_of(only, NEW_YORK) == ("03-08 02:30 moved to 03:30: the clock skips 02:30 that day")
    assert only.at == datetime(2026, 3, 8, 7, 30, tzinfo=UTC)


def test_a_holiday_is_that_of_the_day_on_which_the_phone_would_ring():
    """Scoresbysund's 23:30 of the 28th is called at 00:30 on the 29th."""
    zone = ZoneInfo("America/Scoresbysund")

    config = {"frequency": "daily", "exdates": ["2026-03-28"]}
    kept = marked(config, "2026-03-27T23:30", 2, zone)
    assert kept[1].startswith("03-28 23:30 moved to 00:30")
    config = {"frequency": "daily", "exdates": ["2026-03-29"]}
    assert marked(config, "2026-03-27T23:30", 3, zone)[1:] == [
        "03-28 23:30 skipped: excluded by exdates",
        "03-29 23:30 skipped: excluded by exdates",
    ]


@pytest.mark.parametrize(
    "config",
    [
        {"frequency": "daily", "count": 5, "exdates": ["2026-01-02"]},
        {"cron": "0 9 * * *", "count": 5, "skip_holidays": "DE"},
        {"rrule": "FREQ=DAILY;COUNT=5", "exdates": ["2026-01-02T09:00"]},
    ],
)
def test_a_count_counts_what_is_taken_away_afterwards(config):
    config = {**config, "exdates": ["2026-01-02"]}
    anchor = anchor_of("2026-01-02T09:00", NEW_YORK)
    rule = parse_repeat_config(config, anchor=anchor, zone=NEW_YORK)

    found = [f"{each.astimezone(NEW_YORK):%d}" for each in occurrences(anchor, NEW_YORK, rule)]

    assert found == ["03", "04", "05", "06"]


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"frequency": "yearly", "skip_holidays": "US"}, "skip_holidays"),
        ({"cron": "0 9 25 12 *", "skip_holidays": "FI"}, "skip_holidays"),
        ({"rrule": "FREQ=DAILY;COUNT=1", "exdates": ["2026-12-25"]}, "exdates"),
    ],
)
def test_a_rule_of_nothing_but_excluded_days_is_refused(config, key):
    anchor = anchor_of("2026-12-25T09:00", NEW_YORK)

    with pytest.raises(InvalidRepeatConfig) as refused:
        parse_repeat_config(config, anchor=anchor, zone=NEW_YORK)

    assert str(refused.value) == f"repeat_config.{key}: Leaves no call of this repetition."


def test_a_year_of_excluded_days_of_a_crontab_of_every_minute_is_not_walked_through():
    anchor = anchor_of("2026-01-01T00:00", NEW_YORK)
    days = [str(date(2026, 1, 1) + timedelta(days=number)) for number in range(365)]
    config = {"cron": "* * * * *", "exdates": days}
    rule = parse_repeat_config(config, anchor=anchor, zone=NEW_YORK)

    found = next_occurrence(anchor, NEW_YORK, rule, after=anchor)

    assert found == anchor_of("2027-01-01T00:00", NEW_YORK)


# Properties.


@st.composite
def any_plans(draw) -> Plan:
    """A rule of any kind, perhaps with days, moments and holidays taken away."""
    plan = draw(
        plans()
        | rrule_plans()
        | cron_plans(is_dense=False).map(lambda tried: tried[0])
        | cron_plans(is_dense=True).map(lambda tried: tried[0])
    )
    some = list(islice(occurrences(plan.anchor, plan.zone, plan.rule), 12))
    one_of_them = st.sampled_from(some) if some else st.nothing()
    rule = replace(
        plan.rule,
        excluded_moments=frozenset(draw(st.lists(one_of_them, max_size=2))) if some else (),
        excluded_days=frozenset(
            shown_at(each, plan.zone).date() for each in draw(st.lists(one_of_them, max_size=2))
        )
        if some
        else (),
        holidays_of=draw(st.sampled_from(["", "", *PLACES])),
    )
    return replace(plan, rule=rule)


def is_excluded(moment: datetime, plan: Plan) -> bool:
    rule, day = plan.rule, shown_at(moment, plan.zone).date()
    is_holiday = rule.holidays_of and holiday_on(day, rule.holidays_of)
    return moment in rule.excluded_moments or day in rule.excluded_days or bool(is_holiday)


@thoroughly
@given(any_plans())
def test_the_calls_are_the_rule_s_without_what_is_taken_away(plan):
    named = occurrences(plan.anchor, plan.zone, plan.rule.without_exclusions())
    some = list(islice(named, 120))

    found = occurrences(plan.anchor, plan.zone, plan.rule)

    last = some[-1] if some else plan.anchor
    expected = [each for each in some if not is_excluded(each, plan)]
    assert list(takewhile(lambda each: each <= last, islice(found, 121))) == expected


@thoroughly
@given(any_plans(), st.integers(-1, 30))
def test_what_is_shown_is_what_is_called_from_wherever_one_looks(plan, index):
    anchor, zone, rule = plan.anchor, plan.zone, plan.rule
    some = list(islice(occurrences(anchor, zone, rule.without_exclusions()), 31))
    after = some[min(index, len(some) - 1)] if some and index >= 0 else anchor - A_MOMENT

    shown = list(islice(marked_occurrences(anchor, zone, rule, after=after), 200))

    walked, moment = [], after
    for _ in range(sum(each.at is not None for each in shown)):
        moment = next_occurrence(anchor, zone, rule, after=moment)
        walked.append(moment)
    assert [each.at for each in shown if each.at] == walked
    assert walked == due_occurrences(
        anchor, zone, rule, start=after + A_MOMENT, end=moment, limit=len(walked)
    )
    assert all((each.at is None) == (each.mark is Mark.SKIPPED) for each in shown)
    assert all(bool(each.because) == (each.mark is not Mark.NONE) for each in shown)


@thoroughly
@given(any_plans())
def test_what_is_not_moved_is_called_at_its_wall_time(plan):
    shown = marked_occurrences(plan.anchor, plan.zone, plan.rule, after=plan.anchor - A_MOMENT)

    for each in islice(shown, 60):
        if each.mark in {Mark.NONE, Mark.FIRST_OF_TWO}:
            assert shown_at(each.at, plan.zone) == each.wall
        if each.mark is Mark.FIRST_OF_TWO:
            assert plan.zone.utcoffset(each.wall.replace(fold=1)) < plan.zone.utcoffset(each.wall)


def test_a_rule_is_by_one_thing():
    with pytest.raises(ValueError, match="has a frequency"):
        Rule()
