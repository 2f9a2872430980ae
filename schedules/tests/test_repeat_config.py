import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris.tests.steps import at_most
from schedules.localtime import Gap
from schedules.recurrence import Frequency, MonthEnd, Rule, occurrences
from schedules.repeat_config import (
    READERS,
    InvalidRepeatConfig,
    normalise_repeat_config,
    parse_repeat_config,
)
from schedules.rrule import PARTS, Unit

NEW_YORK = ZoneInfo("America/New_York")
SCORESBYSUND = ZoneInfo("America/Scoresbysund")
ANCHOR = datetime(2026, 1, 15, 15, tzinfo=UTC)  # Thursday 10:00 in New York
DAILY = {"frequency": "daily"}
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "time.md"

quickly = settings(max_examples=200, derandomize=True, database=None, deadline=None)


def parsed(raw, *, anchor=ANCHOR, zone=NEW_YORK):
    return parse_repeat_config(raw, anchor=anchor, zone=zone)


def stored(raw, *, anchor=ANCHOR, zone=NEW_YORK):
    return normalise_repeat_config(raw, anchor=anchor, zone=zone)


def refusal(raw, *, anchor=ANCHOR, zone=NEW_YORK) -> tuple[str, str]:
    with pytest.raises(InvalidRepeatConfig) as caught:
        parsed(raw, anchor=anchor, zone=zone)
    return caught.value.field, caught.value.issue


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("raw", [None, {}, {"end_date": None}, {"enabled": None, "count": None}])
def test_nothing_given_is_no_repetition(raw):
    assert parsed(raw) is None
    assert stored(raw) is None


def test_the_example_of_the_module_s_documentation_is_understood():
    raw = {"enabled": True, "frequency": "daily", "end_date": "2024-02-15T10:00:00Z"}

    rule = parsed(raw, anchor=utc("2024-01-15T10:00"))

    assert rule == Rule(Frequency.DAILY, until=utc("2024-02-15T10:00"))


@pytest.mark.parametrize(
    ("raw", "rule", "kept"),
    [
        (
            DAILY,
            Rule(Frequency.DAILY),
            {"enabled": True, "frequency": "daily", "interval": 1},
        ),
        (
            {"gap": "skip", "interval": 1000, "frequency": "hourly", "enabled": True},
            Rule(Frequency.HOURLY, interval=1000, gap=Gap.SKIP),
            {"enabled": True, "frequency": "hourly", "interval": 1000, "gap": "skip"},
        ),
        (
            {"frequency": "weekly", "weekdays": ["FR", "monday", "Wed"], "count": 10_000},
            Rule(Frequency.WEEKLY, count=10_000, weekdays=frozenset({0, 2, 4})),
            {
                "enabled": True,
                "frequency": "weekly",
                "interval": 1,
                "count": 10_000,
                "weekdays": ["monday", "wednesday", "friday"],
            },
        ),
        (
            {"frequency": "monthly", "month_end": "skip", "gap": "forward", "count": None},
            Rule(Frequency.MONTHLY, month_end=MonthEnd.SKIP),
            {
                "enabled": True,
                "frequency": "monthly",
                "interval": 1,
                "gap": "forward",
                "month_end": "skip",
            },
        ),
        (
            {"frequency": "yearly", "month_end": "last", "interval": 2},
            Rule(Frequency.YEARLY, interval=2),
            {"enabled": True, "frequency": "yearly", "interval": 2, "month_end": "last"},
        ),
    ],
)
def test_a_config_becomes_a_rule_and_is_stored_in_one_form(raw, rule, kept):
    assert parsed(raw) == rule
    assert stored(raw) == kept
    assert list(stored(raw)) == list(kept)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["mo", "tu", "we", "th", "fr", "sa", "su"], set(range(7))),
        (["Mon", "TUE", "wed", "Thu", "fri", "SAT", "sun"], set(range(7))),
        (["SUNDAY"], {6}),
    ],
)
def test_weekdays_have_three_spellings(names, expected):
    assert parsed({"frequency": "weekly", "weekdays": names}).weekdays == expected


END_DATES = [
    # written, kept, until
    ("2026-02-15", "2026-02-15", "2026-02-16T04:59:59.999999"),
    ("2026-03-08", "2026-03-08", "2026-03-09T03:59:59.999999"),
    ("2026-02-15T10:00", "2026-02-15T10:00:00", "2026-02-15T15:00"),
    ("2026-02-15 10:00:30", "2026-02-15T10:00:30", "2026-02-15T15:00:30"),
    ("2026-02-15T10:00:00Z", "2026-02-15T10:00:00Z", "2026-02-15T10:00"),
    ("2026-02-15t10:00:00.25z", "2026-02-15T10:00:00.250000Z", "2026-02-15T10:00:00.25"),
    ("2026-02-15T10:00:00+00:00", "2026-02-15T10:00:00+00:00", "2026-02-15T10:00"),
    ("2026-02-15T10:00:00+05:45", "2026-02-15T10:00:00+05:45", "2026-02-15T04:15"),
    ("2026-02-15T10:00-0330", "2026-02-15T10:00:00-03:30", "2026-02-15T13:30"),
    # Local times of the nights on which the clock changes: as a call at that time would be.
    ("2026-03-08T02:30", "2026-03-08T02:30:00", "2026-03-08T07:30"),
    ("2026-11-01T01:30", "2026-11-01T01:30:00", "2026-11-01T05:30"),
    # The last hours of the calendar.
    ("9999-12-31", "9999-12-31", "9999-12-31T23:59:59.999999"),
    ("9999-12-31T23:00:00", "9999-12-31T23:00:00", "9999-12-31T23:59:59.999999"),
    ("9999-12-31T23:00-02:00", "9999-12-31T23:00:00-02:00", "9999-12-31T23:59:59.999999"),
]


@pytest.mark.parametrize(("written", "kept", "until"), END_DATES)
def test_an_end_date_is_kept_as_it_was_meant(written, kept, until):
    raw = {**DAILY, "end_date": written}

    assert stored(raw)["end_date"] == kept
    assert parsed(raw).until == utc(until)
    assert parsed(stored(raw)) == parsed(raw)


def test_a_bare_end_date_includes_that_local_day():
    rule = parsed({**DAILY, "end_date": "2026-01-16"}, anchor=utc("2026-01-16T04:59"))

    assert list(occurrences(utc("2026-01-16T04:59"), NEW_YORK, rule)) == [
        utc("2026-01-16T04:59"),  # 23:59 on the 15th in New York
        utc("2026-01-17T04:59"),
    ]


def test_an_end_date_holds_even_where_the_clock_pushes_the_last_call_past_midnight():
    """23:30 on 2026-03-28 is half past midnight on the 29th."""
    anchor = utc("2026-03-28T01:30")

    rule = parsed({**DAILY, "end_date": "2026-03-28"}, anchor=anchor, zone=SCORESBYSUND)

    assert list(occurrences(anchor, SCORESBYSUND, rule)) == [anchor]


class TestADisabledConfig:
    @pytest.mark.parametrize(
        ("raw", "kept"),
        [
            ({"enabled": False}, {"enabled": False}),
            ({"enabled": False, "interval": 3}, {"enabled": False, "interval": 3}),
            ({**DAILY, "enabled": False}, {"enabled": False, "frequency": "daily", "interval": 1}),
        ],
    )
    def test_is_no_repetition_and_is_kept(self, raw, kept):
        assert parsed(raw) is None
        assert stored(raw) == kept

    def test_may_have_ended_long_ago(self):
        raw = {**DAILY, "enabled": False, "end_date": "1999-12-31"}

        assert stored(raw) == {
            "enabled": False,
            "frequency": "daily",
            "interval": 1,
            "end_date": "1999-12-31",
        }

    @pytest.mark.parametrize(
        ("raw", "field"),
        [
            ({"frequency": "often"}, "repeat_config.frequency"),
            ({"frequenzy": "daily"}, "repeat_config.frequenzy"),
            ({"interval": 0}, "repeat_config.interval"),
            ({"end_date": "soon"}, "repeat_config.end_date"),
            ({"frequency": "daily", "weekdays": ["mo"]}, "repeat_config.weekdays"),
            ({"frequency": "daily", "month_end": "last"}, "repeat_config.month_end"),
        ],
    )
    def test_is_still_checked(self, raw, field):
        assert refusal({"enabled": False, **raw})[0] == field


NUMBERS_REFUSED = [0, -1, 10_001, 10**400, 1.0, 1.5, True, False, "1", [], {}, [1], float("nan")]
TEXTS_REFUSED = ["", "Daily", "DAILY", "daily ", "minutely", 1, True, 0.5, [], ["daily"], {}]
DATES_REFUSED = [
    "",
    "tomorrow",
    "15/02/2026",
    "2026-2-15",
    "20260215",
    "2026-W07-7",
    "2026-046",
    "2026-02-15T",
    "2026-02-15T10",
    "2026-02-15X10:00",
    "2026-02-15T10:00 Z",
    "2026-02-15Z",
    " 2026-02-15",
    "2026-02-15\n",
    "２０２６-02-15",  # noqa: RUF001
    "2026-02-15T10:00:00Zulu",
    1771146000,
    True,
    [],
    ["2026-02-15"],
    {"$date": "2026-02-15T10:00:00Z"},
]
DATES_THAT_DO_NOT_EXIST = [
    "2026-02-30",
    "2026-13-01",
    "2026-00-10",
    "0000-01-01",
    "2027-02-29T10:00:00Z",
    "2026-02-15T24:01",
    "2026-02-15T10:60",
    "2026-02-15T10:00:61",
    "2026-02-15T10:00+24:00",
    "2026-02-15T10:00+99:99",
]
WEEKDAYS_REFUSED = [
    [],
    {},
    "monday",
    "mo,we",
    0,
    True,
    [0],
    [None],
    [["monday"]],
    ["m"],
    ["mond"],
    [""],
    ["montag"],
    ["\ud800"],
    ["monday", "x" * 10_000],
    ["mo", "MONDAY"],
    ["fri", "fri"],
]


REFUSED_VALUES = [
    *[("interval", value, DAILY) for value in [*NUMBERS_REFUSED, 1001]],
    *[("count", value, DAILY) for value in NUMBERS_REFUSED],
    *[("frequency", value, {}) for value in TEXTS_REFUSED],
    *[("gap", value, DAILY) for value in TEXTS_REFUSED],
    *[("month_end", value, {"frequency": "monthly"}) for value in TEXTS_REFUSED],
    *[("end_date", value, DAILY) for value in DATES_REFUSED + DATES_THAT_DO_NOT_EXIST],
    *[("weekdays", value, {"frequency": "weekly"}) for value in WEEKDAYS_REFUSED],
    *[("enabled", value, DAILY) for value in (0, 1, "true", "yes", [], {})],
]


@pytest.mark.parametrize(
    ("key", "value", "others"), REFUSED_VALUES, ids=lambda part: ascii(part)[:30]
)
def test_a_wrong_value_is_refused_by_its_key(key, value, others):
    field, issue = refusal({**others, key: value})

    assert field == f"repeat_config.{key}"
    assert issue.endswith(".")
    assert len(issue) < 200
    issue.encode("utf-8")


@pytest.mark.parametrize("raw", [True, False, 0, 1, 2.5, "", "daily", [], ["daily"], [DAILY]])
def test_a_config_is_an_object(raw):
    assert refusal(raw) == ("repeat_config", "Must be an object or null.")


@pytest.mark.parametrize("raw", [{"enabled": True}, {"interval": 2}, {"enabled": True, "count": 3}])
def test_a_repetition_needs_a_frequency(raw):
    assert refusal(raw) == (
        "repeat_config.frequency",
        "Required while the repetition is enabled, unless cron or rrule is given: hourly, daily, "
        "weekly, monthly, yearly.",
    )


KNOWN = (
    "Known keys: enabled, frequency, cron, rrule, interval, end_date, count, weekdays, gap, "
    "month_end, exdates, skip_holidays."
)


@pytest.mark.parametrize(
    ("key", "field", "issue"),
    [
        ("frequenzy", "frequenzy", f"Unknown key; did you mean frequency? {KNOWN}"),
        ("endDate", "endDate", f"Unknown key; did you mean end_date? {KNOWN}"),
        ("Interval", "Interval", f"Unknown key; did you mean interval? {KNOWN}"),
        ("until_then", "until_then", f"Unknown key. {KNOWN}"),
        ("", '""', f"Unknown key. {KNOWN}"),
        ("\ud800", "\\ud800", f"Unknown key. {KNOWN}"),
        ("x" * 100_000, "x" * 60, f"Unknown key. {KNOWN}"),
    ],
    ids=lambda part: ascii(part)[:30],
)
def test_an_unknown_key_is_refused_by_name_with_a_hint(key, field, issue):
    assert refusal({**DAILY, key: None}) == (f"repeat_config.{field}", issue)


@pytest.mark.parametrize("frequency", ["hourly", "daily", "monthly", "yearly"])
def test_only_weeks_have_weekdays(frequency):
    assert refusal({"frequency": frequency, "weekdays": ["monday"]}) == (
        "repeat_config.weekdays",
        "Only a weekly repetition has weekdays.",
    )


@pytest.mark.parametrize("frequency", ["hourly", "daily", "weekly"])
def test_only_months_and_years_have_a_month_end(frequency):
    assert refusal({"frequency": frequency, "month_end": "last"}) == (
        "repeat_config.month_end",
        "Only a monthly or yearly repetition has a month_end.",
    )


class TestAnEndBeforeTheFirstCall:
    @pytest.mark.parametrize(
        "end",
        [
            "2026-01-14",
            "2026-01-15T09:59:59",
            "2026-01-15T14:59:59.999999Z",
            "0001-01-01",
            "0001-01-01T00:00+23:59",
        ],
    )
    def test_is_refused(self, end):
        assert refusal({**DAILY, "end_date": end}) == (
            "repeat_config.end_date",
            "Is before the first call, which would be at 2026-01-15T15:00:00Z.",
        )

    @pytest.mark.parametrize("end", ["2026-01-15", "2026-01-15T10:00", "2026-01-15T15:00Z"])
    def test_is_not_one_at_the_first_call(self, end):
        assert parsed({**DAILY, "end_date": end}) is not None

    def test_counts_from_the_first_weekday_not_from_the_anchor(self):
        raw = {"frequency": "weekly", "weekdays": ["wednesday"], "end_date": "2026-01-20"}

        assert refusal(raw) == (
            "repeat_config.end_date",
            "Is before the first call, which would be at 2026-01-21T15:00:00Z.",
        )


def test_a_rule_without_any_call_is_refused():
    raw = {"frequency": "weekly", "weekdays": ["monday"]}

    assert refusal(raw, anchor=utc("9999-12-31T12:00")) == (
        "repeat_config",
        "This repetition has no call before the year 10000.",
    )


def test_the_refusal_reads_as_a_sentence():
    with pytest.raises(ValueError, match=re.escape("repeat_config: Must be an object or null.")):
        parsed([])


def test_a_config_nested_without_end_is_refused_like_any_other():
    deep = []
    for _ in range(100_000):
        deep = [deep]

    for key in READERS:
        assert refusal({**DAILY, key: deep})[0] == f"repeat_config.{key}"


@pytest.mark.parametrize("key", READERS)
def test_every_key_is_in_the_documentation(key):
    assert f"| `{key}` |" in DOCUMENTATION.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "raw",
    [
        [],
        {"enabled": True},
        {"frequency": "often"},
        {**DAILY, "frequenzy": "daily"},
        {**DAILY, "enabled": 1},
        {**DAILY, "interval": 0},
        {**DAILY, "count": 0},
        {**DAILY, "end_date": "soon"},
        {**DAILY, "end_date": "2026-02-30"},
        {**DAILY, "end_date": "2026-01-14"},
        {**DAILY, "weekdays": ["mo"]},
        {**DAILY, "gap": "jump"},
        {**DAILY, "month_end": "last"},
        {"frequency": "weekly", "weekdays": []},
        {"frequency": "weekly", "weekdays": [1]},
        {"frequency": "weekly", "weekdays": ["montag"]},
        {"frequency": "weekly", "weekdays": ["mo", "mon"]},
        {"frequency": "monthly", "month_end": "first"},
        {"cron": 5},
        {"cron": "@daily"},
        {"cron": "0 25 * * *"},
        {"cron": "0 0 30 2 *"},
        {**DAILY, "cron": "0 9 * * *"},
        {"cron": "0 9 * * *", "interval": 2},
        {"rrule": 5},
        {"rrule": "COUNT=5"},
        {"rrule": "FREQ=OFTEN"},
        {"rrule": "FREQ=SECONDLY"},
        {"rrule": "FREQ=HOURLY;BYHOUR=9"},
        {"rrule": "FREQ=MONTHLY;BYMONTHDAY=32"},
        {"rrule": "FREQ=MONTHLY;BYWEEKNO=20"},
        {"rrule": "FREQ=DAILY;COUNT=3;UNTIL=20261231"},
        {"rrule": "DTSTART:20260101T090000\nRRULE:FREQ=DAILY"},
        {"rrule": "RRULE:FREQ=DAILY\nEXDATE:20260101T090000"},
        {"rrule": "FREQ=DAILY;UNTIL=20260101"},
        {"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"},
        {"rrule": "FREQ=DAILY", "end_date": "2026-12-31"},
        {"rrule": "FREQ=DAILY", "count": 3},
        {**DAILY, "exdates": []},
        {**DAILY, "exdates": ["2026-02-30"]},
        {**DAILY, "count": 1, "exdates": ["2026-01-15"]},
        {**DAILY, "skip_holidays": "Finland"},
        {**DAILY, "skip_holidays": "XX"},
        {**DAILY, "skip_holidays": "US-ZZ"},
    ],
    ids=json.dumps,
)
def test_every_refusal_is_in_the_documentation_word_by_word(raw):
    assert refusal(raw)[1] in DOCUMENTATION.read_text(encoding="utf-8")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=12)
    | st.sampled_from(["daily", "weekly", "monthly", "skip", "mo", "2026-02-15", "9999-12-31T23"])
    | st.datetimes().map(datetime.isoformat)
    | st.dates().map(str),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
likely_configs = st.fixed_dictionaries(
    {},
    optional={
        "enabled": st.booleans() | json_values,
        "frequency": st.sampled_from(Frequency).map(str) | json_values,
        "interval": st.integers(-1, 1002) | json_values,
        "end_date": st.dates().map(str) | st.datetimes().map(datetime.isoformat) | json_values,
        "count": st.integers(-1, 10_002) | json_values,
        "weekdays": st.lists(st.sampled_from(["mo", "Tuesday", "SUN"]), max_size=3) | json_values,
        "gap": st.sampled_from(Gap).map(str) | json_values,
        "month_end": st.sampled_from(MonthEnd).map(str) | json_values,
        "cron": st.sampled_from(["0 9 * * mon", "*/5 * 1 * 5L", "0 0 30 2 *"]) | json_values,
        "rrule": st.sampled_from(["FREQ=DAILY", "rrule:freq=hourly;count=3"]) | json_values,
        "exdates": st.lists(st.dates().map(str) | json_values, max_size=3) | json_values,
        "skip_holidays": st.sampled_from(["fi", "US-CA", "XX", "DE-XX"]) | json_values,
        "frequenzy": json_values,
    },
)
zones = st.sampled_from(["America/New_York", "Asia/Kathmandu", "Pacific/Apia", "UTC"]).map(ZoneInfo)
anchors = st.datetimes(timezones=st.just(UTC))


def read_back(raw, anchor, zone) -> None:
    """A config is refused by a key, or its stored form is JSON and means the same."""
    try:
        rule = parsed(raw, anchor=anchor, zone=zone)
    except InvalidRepeatConfig as caught:
        field, text = caught.field, str(caught)
        assert field.split(".")[0] == "repeat_config"
        assert text.encode()
        return
    kept = stored(raw, anchor=anchor, zone=zone)
    kept_again = json.loads(json.dumps(kept))
    assert kept_again == kept
    assert parsed(kept_again, anchor=anchor, zone=zone) == rule
    assert stored(kept_again, anchor=anchor, zone=zone) == kept
    if rule is not None:
        assert next(occurrences(anchor, zone, rule)) >= anchor


@quickly
@given(json_values, anchors, zones)
def test_whatever_json_comes_in_nothing_else_is_raised(raw, anchor, zone):
    read_back(raw, anchor, zone)


@quickly
@given(likely_configs, anchors, zones)
def test_whatever_values_the_keys_have_nothing_else_is_raised(raw, anchor, zone):
    read_back(raw, anchor, zone)


@quickly
@given(
    st.fixed_dictionaries(
        {"frequency": st.sampled_from(Frequency).map(str)},
        optional={
            "interval": st.integers(1, 1000),
            "end_date": st.dates().map(str) | st.datetimes().map(datetime.isoformat),
            "count": st.integers(1, 10_000),
            "gap": st.sampled_from(Gap).map(str),
        },
    ),
    st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    zones,
)
def test_a_valid_config_is_stored_and_read_again_to_the_same_rule(raw, anchor, zone):
    read_back(raw, anchor, zone)


by_cron = st.fixed_dictionaries(
    {
        "cron": st.lists(
            st.text("0123456789*/,-LW#", min_size=1, max_size=4), min_size=5, max_size=5
        ).map(" ".join)
        | st.text(max_size=20)
    },
    optional={
        "end_date": st.dates().map(str),
        "count": st.integers(1, 10_000),
        "exdates": st.lists(st.dates().map(str) | st.datetimes().map(datetime.isoformat)),
        "skip_holidays": st.sampled_from(["FI", "IN", "US-CA"]),
    },
)
rrule_parts = st.dictionaries(
    st.sampled_from(PARTS),
    st.lists(
        st.integers(-60, 400).map(str) | st.sampled_from(["MO", "-1FR", "5SU"]), min_size=1
    ).map(",".join),
    max_size=5,
)
by_rrule = st.fixed_dictionaries(
    {
        "rrule": st.builds(
            lambda unit, parts: ";".join([f"FREQ={unit}", *(f"{k}={v}" for k, v in parts.items())]),
            st.sampled_from(Unit),
            rrule_parts,
        )
        | st.text("FREQ=DAILY;BYMONTH0123456789,-\n", max_size=40).map("FREQ=".__add__)
    },
    optional={
        "exdates": st.lists(st.dates().map(str) | st.datetimes().map(datetime.isoformat)),
        "skip_holidays": st.sampled_from(["FI", "IN", "US-CA"]),
    },
)


@settings(quickly, max_examples=600)
@given(
    by_cron | by_rrule,
    st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    zones,
)
def test_whatever_a_crontab_or_an_rrule_says_it_is_read_soon(raw, anchor, zone):
    with at_most(calls=10_000_000):
        read_back(raw, anchor, zone)


def test_an_end_keeps_its_meaning_when_the_schedule_s_zone_is_another():
    raw = {**DAILY, "end_date": "2026-02-15"}

    here, there = parsed(raw), parsed(raw, zone=ZoneInfo("Asia/Kathmandu"))

    assert here.until - there.until == timedelta(hours=10, minutes=45)
