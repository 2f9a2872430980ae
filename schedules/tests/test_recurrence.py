from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from polaris.tests.steps import at_most
from schedules.localtime import Gap, resolve
from schedules.recurrence import (
    Frequency,
    MonthEnd,
    Rule,
    due_occurrences,
    next_occurrence,
    occurrences,
)

NEW_YORK = ZoneInfo("America/New_York")
HELSINKI = ZoneInfo("Europe/Helsinki")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
APIA = ZoneInfo("Pacific/Apia")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
SCORESBYSUND = ZoneInfo("America/Scoresbysund")
PAGO_PAGO = ZoneInfo("Pacific/Pago_Pago")  # -11:00
KIRITIMATI = ZoneInfo("Pacific/Kiritimati")  # +14:00

HOURLY = Rule(Frequency.HOURLY)
DAILY = Rule(Frequency.DAILY)
WEEKLY = Rule(Frequency.WEEKLY)
MONTHLY = Rule(Frequency.MONTHLY)
YEARLY = Rule(Frequency.YEARLY)

END_OF_TIME = datetime.max.replace(tzinfo=UTC)
MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY, SUNDAY = range(7)


def at(local: str, zone: ZoneInfo) -> datetime:
    """The instant of a local time, in UTC as the database gives it."""
    return resolve(datetime.fromisoformat(local), zone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def shown(instants, zone: ZoneInfo) -> list[str]:
    """What a called party reads on the wall, with the offset in force."""
    return [f"{each.astimezone(zone):%Y-%m-%d %H:%M %z}" for each in instants]


def first(number: int, anchor: datetime, zone: ZoneInfo, rule: Rule | None) -> list[str]:
    return shown(islice(occurrences(anchor, zone, rule), number), zone)


CLOCK_CHANGES = {
    "New York skips 02:30: once, at 03:30": (
        NEW_YORK,
        "2026-03-07T02:30",
        DAILY,
        ["2026-03-07 02:30 -0500", "2026-03-08 03:30 -0400", "2026-03-09 02:30 -0400"],
    ),
    "New York skips 02:30 a year later too": (
        NEW_YORK,
        "2027-03-13T02:30",
        DAILY,
        ["2027-03-13 02:30 -0500", "2027-03-14 03:30 -0400", "2027-03-15 02:30 -0400"],
    ),
    "New York skips 02:30: not at all, if so chosen": (
        NEW_YORK,
        "2026-03-07T02:30",
        Rule(Frequency.DAILY, gap=Gap.SKIP),
        ["2026-03-07 02:30 -0500", "2026-03-09 02:30 -0400", "2026-03-10 02:30 -0400"],
    ),
    "New York has 01:30 twice: once, at the first": (
        NEW_YORK,
        "2026-10-31T01:30",
        DAILY,
        ["2026-10-31 01:30 -0400", "2026-11-01 01:30 -0400", "2026-11-02 01:30 -0500"],
    ),
    "New York hourly is elapsed time: both 01:30s are an hour apart": (
        NEW_YORK,
        "2026-11-01T00:30",
        HOURLY,
        [
            "2026-11-01 00:30 -0400",
            "2026-11-01 01:30 -0400",
            "2026-11-01 01:30 -0500",
            "2026-11-01 02:30 -0500",
        ],
    ),
    "New York hourly misses nothing when the clock goes forward": (
        NEW_YORK,
        "2026-03-08T00:30",
        HOURLY,
        ["2026-03-08 00:30 -0500", "2026-03-08 01:30 -0500", "2026-03-08 03:30 -0400"],
    ),
    "New York every 24 hours moves with the clock, and daily does not": (
        NEW_YORK,
        "2026-03-07T09:00",
        Rule(Frequency.HOURLY, interval=24),
        ["2026-03-07 09:00 -0500", "2026-03-08 10:00 -0400", "2026-03-09 10:00 -0400"],
    ),
    "New York daily stays at 09:00": (
        NEW_YORK,
        "2026-03-07T09:00",
        DAILY,
        ["2026-03-07 09:00 -0500", "2026-03-08 09:00 -0400", "2026-03-09 09:00 -0400"],
    ),
    "Helsinki has 03:30 twice": (
        HELSINKI,
        "2017-10-28T03:30",
        DAILY,
        ["2017-10-28 03:30 +0300", "2017-10-29 03:30 +0300", "2017-10-30 03:30 +0200"],
    ),
    "Helsinki weekly": (
        HELSINKI,
        "2017-10-22T03:30",
        WEEKLY,
        ["2017-10-22 03:30 +0300", "2017-10-29 03:30 +0300", "2017-11-05 03:30 +0200"],
    ),
    "Lord Howe skips half an hour": (
        LORD_HOWE,
        "2026-10-03T02:15",
        DAILY,
        ["2026-10-03 02:15 +1030", "2026-10-04 02:45 +1100", "2026-10-05 02:15 +1100"],
    ),
    "Lord Howe has half an hour twice": (
        LORD_HOWE,
        "2026-04-04T01:45",
        DAILY,
        ["2026-04-04 01:45 +1100", "2026-04-05 01:45 +1100", "2026-04-06 01:45 +1030"],
    ),
    "Scoresbysund skips the end of a day: after midnight": (
        SCORESBYSUND,
        "2026-03-27T23:30",
        DAILY,
        ["2026-03-27 23:30 -0200", "2026-03-29 00:30 -0100", "2026-03-29 23:30 -0100"],
    ),
    "Kathmandu is fifteen minutes off and never changes": (
        KATHMANDU,
        "2026-03-28T00:10",
        DAILY,
        ["2026-03-28 00:10 +0545", "2026-03-29 00:10 +0545", "2026-03-30 00:10 +0545"],
    ),
}

APIA_LEAVES_OUT_A_DAY = {
    "daily: the call of the 30th is the call of the 31st": (
        "2011-12-28T09:00",
        DAILY,
        [
            "2011-12-28 09:00 -1000",
            "2011-12-29 09:00 -1000",
            "2011-12-31 09:00 +1400",
            "2012-01-01 09:00 +1400",
        ],
    ),
    "daily with skip": (
        "2011-12-29T09:00",
        Rule(Frequency.DAILY, gap=Gap.SKIP),
        ["2011-12-29 09:00 -1000", "2011-12-31 09:00 +1400"],
    ),
    "every second day, on the 30th: moved forward": (
        "2011-12-28T09:00",
        Rule(Frequency.DAILY, interval=2),
        ["2011-12-28 09:00 -1000", "2011-12-31 09:00 +1400", "2012-01-01 09:00 +1400"],
    ),
    "every second day, not on the 30th": (
        "2011-12-29T09:00",
        Rule(Frequency.DAILY, interval=2),
        ["2011-12-29 09:00 -1000", "2011-12-31 09:00 +1400", "2012-01-02 09:00 +1400"],
    ),
    "weekly on Friday the 30th: on Saturday": (
        "2011-12-23T09:00",
        WEEKLY,
        ["2011-12-23 09:00 -1000", "2011-12-31 09:00 +1400", "2012-01-06 09:00 +1400"],
    ),
    "weekly on Friday and Saturday: one call": (
        "2011-12-24T09:00",
        Rule(Frequency.WEEKLY, weekdays={FRIDAY, SATURDAY}),
        ["2011-12-24 09:00 -1000", "2011-12-31 09:00 +1400", "2012-01-06 09:00 +1400"],
    ),
    "a count counts calls, not days": (
        "2011-12-28T09:00",
        Rule(Frequency.DAILY, count=3),
        ["2011-12-28 09:00 -1000", "2011-12-29 09:00 -1000", "2011-12-31 09:00 +1400"],
    ),
}


@pytest.mark.parametrize(
    ("zone", "anchor", "rule", "expected"), CLOCK_CHANGES.values(), ids=CLOCK_CHANGES.keys()
)
def test_the_night_the_clock_changes(zone, anchor, rule, expected):
    assert first(len(expected), at(anchor, zone), zone, rule) == expected


@pytest.mark.parametrize(
    ("anchor", "rule", "expected"),
    APIA_LEAVES_OUT_A_DAY.values(),
    ids=APIA_LEAVES_OUT_A_DAY.keys(),
)
def test_the_day_that_does_not_exist(anchor, rule, expected):
    assert first(len(expected), at(anchor, APIA), APIA, rule) == expected


@pytest.mark.parametrize(
    ("night", "local", "expected"),
    [
        ("2026-03-08", "02:30", "2026-03-08 03:30 -0400"),
        ("2027-03-14", "02:30", "2027-03-14 03:30 -0400"),
        ("2026-11-01", "01:30", "2026-11-01 01:30 -0400"),
    ],
)
def test_a_clock_change_night_has_exactly_one_daily_call(night, local, expected):
    anchor = at(f"2020-01-01T{local}", NEW_YORK)
    midnight = at(f"{night}T00:00", NEW_YORK)

    due = due_occurrences(
        anchor, NEW_YORK, DAILY, start=midnight, end=midnight + timedelta(hours=23), limit=99
    )

    assert shown(due, NEW_YORK) == [expected]


def test_the_31st_of_every_month_falls_on_the_last_day_and_comes_back():
    anchor = at("2026-01-31T09:00", NEW_YORK)

    days = [line[:16] for line in first(14, anchor, NEW_YORK, MONTHLY)]

    assert days == [
        "2026-01-31 09:00",
        "2026-02-28 09:00",
        "2026-03-31 09:00",
        "2026-04-30 09:00",
        "2026-05-31 09:00",
        "2026-06-30 09:00",
        "2026-07-31 09:00",
        "2026-08-31 09:00",
        "2026-09-30 09:00",
        "2026-10-31 09:00",
        "2026-11-30 09:00",
        "2026-12-31 09:00",
        "2027-01-31 09:00",
        "2027-02-28 09:00",
    ]


@pytest.mark.parametrize(
    ("anchor", "rule", "expected"),
    [
        ("2026-01-31", Rule(Frequency.MONTHLY, month_end=MonthEnd.SKIP), "01-31 03-31 05-31 07-31"),
        ("2026-01-30", Rule(Frequency.MONTHLY, month_end=MonthEnd.SKIP), "01-30 03-30 04-30 05-30"),
        ("2028-01-29", MONTHLY, "01-29 02-29 03-29 04-29"),
        ("2026-01-29", MONTHLY, "01-29 02-28 03-29 04-29"),
        ("2026-11-30", Rule(Frequency.MONTHLY, interval=3), "11-30 02-28 05-30 08-30"),
        (
            "2026-08-31",
            Rule(Frequency.MONTHLY, interval=2, month_end=MonthEnd.SKIP),
            "08-31 10-31 12-31 08-31",
        ),
        ("2026-02-28", MONTHLY, "02-28 03-28 04-28 05-28"),
        ("2026-01-31", Rule(Frequency.MONTHLY, interval=13), "01-31 02-28 03-31 04-30"),
    ],
)
def test_months_too_short_for_the_day(anchor, rule, expected):
    lines = first(4, at(f"{anchor}T12:00", HELSINKI), HELSINKI, rule)

    assert [line[5:10] for line in lines] == expected.split()


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (YEARLY, "2028-02-29 2029-02-28 2030-02-28 2031-02-28 2032-02-29"),
        (
            Rule(Frequency.YEARLY, month_end=MonthEnd.SKIP),
            "2028-02-29 2032-02-29 2036-02-29 2040-02-29 2044-02-29",
        ),
        (
            Rule(Frequency.YEARLY, interval=3, month_end=MonthEnd.SKIP),
            "2028-02-29 2040-02-29 2052-02-29 2064-02-29 2076-02-29",
        ),
    ],
)
def test_a_birthday_on_the_29th_of_february(rule, expected):
    lines = first(5, at("2028-02-29T12:00", HELSINKI), HELSINKI, rule)

    assert [line[:10] for line in lines] == expected.split()


def test_a_birthday_on_the_29th_of_february_waits_eight_years_over_2100():
    rule = Rule(Frequency.YEARLY, month_end=MonthEnd.SKIP)

    found = next_occurrence(utc("2028-02-29T12:00"), HELSINKI, rule, after=utc("2096-03-01T00:00"))

    assert found == utc("2104-02-29T12:00")


WEEKS = {
    "the anchor's weekday by default": (
        "2026-01-07",
        WEEKLY,
        ["01-07", "01-14", "01-21"],
    ),
    "several days": (
        "2026-01-05",
        Rule(Frequency.WEEKLY, weekdays={FRIDAY, MONDAY}),
        ["01-05", "01-09", "01-12", "01-16"],
    ),
    "days of the anchor's week before the anchor do not count": (
        "2026-01-07",
        Rule(Frequency.WEEKLY, weekdays={MONDAY, WEDNESDAY, FRIDAY}),
        ["01-07", "01-09", "01-12", "01-14"],
    ),
    "an anchor on another weekday is not an occurrence": (
        "2026-01-07",
        Rule(Frequency.WEEKLY, weekdays={THURSDAY}),
        ["01-08", "01-15", "01-22"],
    ),
    "no day left in the anchor's week": (
        "2026-01-11",
        Rule(Frequency.WEEKLY, weekdays={TUESDAY}),
        ["01-13", "01-20"],
    ),
    "every second week, counted from the anchor's week, which starts on Monday": (
        "2026-01-11",
        Rule(Frequency.WEEKLY, interval=2, weekdays={MONDAY, SUNDAY}),
        ["01-11", "01-19", "01-25", "02-02", "02-08"],
    ),
    "every second week with no day left in the first": (
        "2026-01-11",
        Rule(Frequency.WEEKLY, interval=2, weekdays={TUESDAY}),
        ["01-20", "02-03"],
    ),
    "every day of the week": (
        "2026-01-10",
        Rule(Frequency.WEEKLY, weekdays=set(range(7))),
        ["01-10", "01-11", "01-12", "01-13"],
    ),
    "a count starts at the first call": (
        "2026-01-07",
        Rule(Frequency.WEEKLY, count=2, weekdays={MONDAY, FRIDAY}),
        ["01-09", "01-12"],
    ),
}


@pytest.mark.parametrize(("anchor", "rule", "expected"), WEEKS.values(), ids=WEEKS.keys())
def test_weeks(anchor, rule, expected):
    lines = first(len(expected), at(f"{anchor}T09:00", NEW_YORK), NEW_YORK, rule)

    assert [line[5:16] for line in lines] == [f"{day} 09:00" for day in expected]


def test_the_weekday_is_the_zone_s_own():
    """Sunday 22:00 in New York is Monday in UTC."""
    anchor = utc("2026-01-12T03:00")

    lines = first(2, anchor, NEW_YORK, Rule(Frequency.WEEKLY, weekdays={SUNDAY}))

    assert lines == ["2026-01-11 22:00 -0500", "2026-01-18 22:00 -0500"]


def test_a_schedule_without_a_rule_calls_once():
    anchor = at("2026-03-08T09:00", NEW_YORK)

    assert list(occurrences(anchor, NEW_YORK, None)) == [anchor]
    assert next_occurrence(anchor, NEW_YORK, None, after=anchor - timedelta(seconds=1)) == anchor
    assert next_occurrence(anchor, NEW_YORK, None, after=anchor) is None
    assert due_occurrences(anchor, NEW_YORK, None, start=anchor, end=anchor, limit=5) == [anchor]


class TestAnAnchor:
    def test_at_the_second_of_two_wall_times_is_that_instant(self):
        anchor = datetime(2026, 11, 1, 1, 30, tzinfo=timezone(timedelta(hours=-5)))

        assert first(3, anchor, NEW_YORK, DAILY) == [
            "2026-11-01 01:30 -0500",
            "2026-11-02 01:30 -0500",
            "2026-11-03 01:30 -0500",
        ]

    def test_at_the_second_of_two_keeps_to_the_first_in_later_years(self):
        anchor = utc("2026-11-01T06:30")
        rule = Rule(Frequency.DAILY, interval=371)  # 2027-11-07, the next such night

        assert first(2, anchor, NEW_YORK, rule) == [
            "2026-11-01 01:30 -0500",
            "2027-11-07 01:30 -0400",
        ]

    def test_is_the_same_in_whatever_offset_it_is_written(self):
        elsewhere = at("2026-03-07T02:30", NEW_YORK).astimezone(KATHMANDU)

        assert (
            first(3, elsewhere, NEW_YORK, DAILY)
            == CLOCK_CHANGES["New York skips 02:30: once, at 03:30"][3]
        )

    def test_that_its_own_zone_skips_still_states_the_wall_time(self):
        anchor = datetime(2026, 3, 8, 2, 30, tzinfo=NEW_YORK)

        assert first(2, anchor, NEW_YORK, DAILY) == [
            "2026-03-08 03:30 -0400",
            "2026-03-09 02:30 -0400",
        ]

    def test_that_its_own_zone_skips_may_be_skipped(self):
        anchor = datetime(2026, 3, 8, 2, 30, tzinfo=NEW_YORK)
        rule = Rule(Frequency.DAILY, count=1, gap=Gap.SKIP)

        assert first(2, anchor, NEW_YORK, rule) == ["2026-03-09 02:30 -0400"]

    def test_keeps_its_seconds(self):
        anchor = utc("2026-01-15T09:00:17.000250")

        assert next_occurrence(anchor, NEW_YORK, DAILY, after=anchor) == utc(
            "2026-01-16T09:00:17.000250"
        )

    @pytest.mark.parametrize("rule", [None, HOURLY, DAILY])
    def test_without_an_offset_is_refused(self, rule):
        with pytest.raises(ValueError, match="anchor needs"):
            occurrences(datetime.fromisoformat("2026-01-15T09:00"), NEW_YORK, rule)


class TestAnEnd:
    def test_is_inclusive(self):
        anchor = at("2026-01-15T09:00", NEW_YORK)
        rule = Rule(Frequency.DAILY, until=at("2026-01-17T09:00", NEW_YORK))

        assert len(list(occurrences(anchor, NEW_YORK, rule))) == 3

    def test_a_microsecond_before_a_call_leaves_it_out(self):
        anchor = at("2026-01-15T09:00", NEW_YORK)
        rule = Rule(
            Frequency.DAILY, until=at("2026-01-17T09:00", NEW_YORK) - timedelta(microseconds=1)
        )

        assert len(list(occurrences(anchor, NEW_YORK, rule))) == 2

    def test_before_the_anchor_leaves_nothing(self):
        anchor = at("2026-01-15T09:00", NEW_YORK)
        rule = Rule(Frequency.DAILY, until=anchor - timedelta(days=1))

        assert list(occurrences(anchor, NEW_YORK, rule)) == []
        assert next_occurrence(anchor, NEW_YORK, rule, after=anchor - timedelta(days=9)) is None

    @pytest.mark.parametrize(("count", "days", "expected"), [(2, 9, 2), (9, 1, 2), (1, 0, 1)])
    def test_and_a_count_both_hold(self, count, days, expected):
        anchor = at("2026-01-15T09:00", NEW_YORK)
        rule = Rule(Frequency.DAILY, count=count, until=anchor + timedelta(days=days))

        assert len(list(occurrences(anchor, NEW_YORK, rule))) == expected


COUNTED = [
    (NEW_YORK, "2026-01-15T09:00", Rule(Frequency.HOURLY, interval=5, count=40)),
    (NEW_YORK, "2026-03-01T02:30", Rule(Frequency.DAILY, count=40)),
    (NEW_YORK, "2026-03-01T02:30", Rule(Frequency.DAILY, count=40, gap=Gap.SKIP)),
    (NEW_YORK, "2026-03-04T02:30", Rule(Frequency.WEEKLY, count=40, weekdays={0, 2, 6})),
    (NEW_YORK, "2026-01-31T02:30", Rule(Frequency.MONTHLY, count=40)),
    (NEW_YORK, "2026-01-31T02:30", Rule(Frequency.MONTHLY, count=40, month_end=MonthEnd.SKIP)),
    (NEW_YORK, "2028-02-29T02:30", Rule(Frequency.YEARLY, count=40, month_end=MonthEnd.SKIP)),
    (APIA, "2011-12-20T09:00", Rule(Frequency.DAILY, count=40)),
    (APIA, "2011-12-20T09:00", Rule(Frequency.WEEKLY, count=40, weekdays={4, 5})),
]


@pytest.mark.parametrize(("zone", "anchor", "rule"), COUNTED)
def test_a_count_is_of_real_calls_wherever_one_starts_to_look(zone, anchor, rule):
    moment = at(anchor, zone)
    expected = list(occurrences(moment, zone, rule))

    walked = [next_occurrence(moment, zone, rule, after=moment - timedelta(days=1))]
    while (following := next_occurrence(moment, zone, rule, after=walked[-1])) is not None:
        walked.append(following)

    from_long_before = due_occurrences(
        moment, zone, rule, start=moment - timedelta(days=800), end=END_OF_TIME, limit=99
    )

    assert len(expected) == 40
    assert walked == expected
    assert from_long_before == expected


class TestTheNextOccurrence:
    def test_is_strictly_later(self):
        anchor = at("2026-01-15T09:00", NEW_YORK)
        second = at("2026-01-16T09:00", NEW_YORK)

        assert next_occurrence(anchor, NEW_YORK, DAILY, after=anchor) == second
        assert (
            next_occurrence(anchor, NEW_YORK, DAILY, after=second - timedelta(microseconds=1))
            == second
        )

    @pytest.mark.parametrize("after", [datetime.min, datetime(1970, 1, 1)])  # noqa: DTZ001, DTZ901
    def test_long_before_the_anchor_is_the_anchor(self, after):
        anchor = at("2026-01-15T09:00", NEW_YORK)

        for rule in (None, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY):
            found = next_occurrence(anchor, NEW_YORK, rule, after=after.replace(tzinfo=UTC))
            assert found == anchor

    @pytest.mark.parametrize("minutes", [-(24 * 60 - 1), -12 * 60, 14 * 60, 24 * 60 - 1])
    @pytest.mark.parametrize("zone", [SCORESBYSUND, PAGO_PAGO, KIRITIMATI])
    def test_may_be_asked_for_in_any_offset(self, zone, minutes):
        """Dates two days apart are the same moment, and Scoresbysund's 23:30 is on the next day."""
        anchor = at("2026-03-20T23:30", zone)
        known = list(islice(occurrences(anchor, zone, DAILY), 20))

        for hour in range(15 * 24):
            after = anchor + timedelta(hours=hour, minutes=40)
            written = after.astimezone(timezone(timedelta(minutes=minutes)))
            found = next_occurrence(anchor, zone, DAILY, after=written)
            assert found == next(each for each in known if each > after)

    def test_needs_a_moment_with_an_offset(self):
        naive = datetime.fromisoformat("2026-01-15T09:00")

        with pytest.raises(TypeError):
            next_occurrence(at("2026-01-15T09:00", NEW_YORK), NEW_YORK, DAILY, after=naive)

    @pytest.mark.parametrize(
        "rule",
        [
            HOURLY,
            DAILY,
            Rule(Frequency.DAILY, gap=Gap.SKIP),
            Rule(Frequency.WEEKLY, weekdays=frozenset(range(7))),
            MONTHLY,
            YEARLY,
            Rule(Frequency.HOURLY, count=10**6),
            Rule(Frequency.DAILY, count=10**6),
        ],
    )
    def test_is_found_without_walking_from_an_anchor_of_twenty_years_ago(self, rule):
        """A walk over hourly calls takes over a million steps each time, a search a hundred."""
        anchor = at("2006-01-31T09:00", NEW_YORK)
        after = at("2026-01-15T12:00", NEW_YORK)

        with at_most(calls=200_000):
            for _ in range(200):
                assert next_occurrence(anchor, NEW_YORK, rule, after=after) > after


class TestDueOccurrences:
    anchor = at("2026-01-15T09:00", NEW_YORK)

    def due(self, start_day: int, end_day: int, limit: int = 99) -> list[int]:
        found = due_occurrences(
            self.anchor,
            NEW_YORK,
            DAILY,
            start=self.anchor + timedelta(days=start_day),
            end=self.anchor + timedelta(days=end_day),
            limit=limit,
        )
        return [(each - self.anchor).days for each in found]

    @pytest.mark.parametrize(
        ("start", "end", "limit", "expected"),
        [
            (0, 0, 99, [0]),
            (2, 4, 99, [2, 3, 4]),
            (-9, 1, 99, [0, 1]),
            (-9, -1, 99, []),
            (4, 2, 99, []),
            (2, 40, 3, [2, 3, 4]),
            (2, 4, 0, []),
            (2, 4, -1, []),
        ],
    )
    def test_both_ends_count_and_the_limit_holds(self, start, end, limit, expected):
        assert self.due(start, end, limit) == expected


class TestTheEndOfTheCalendar:
    @pytest.mark.parametrize("rule", [HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY])
    @pytest.mark.parametrize("zone", [NEW_YORK, KATHMANDU, APIA])
    @pytest.mark.parametrize(
        "anchor", ["9998-12-31T23:59:59.999999", "9999-12-31T00:00", "9999-12-31T23:59:59.999999"]
    )
    def test_ends_the_occurrences(self, anchor, zone, rule):
        moment = utc(anchor)

        last = list(islice(occurrences(moment, zone, rule), 10_000))[-1:]

        assert all(each.year >= 9998 for each in last)
        assert next_occurrence(moment, zone, rule, after=END_OF_TIME) is None

    @pytest.mark.parametrize("rule", [None, HOURLY, DAILY, WEEKLY, MONTHLY, YEARLY])
    @pytest.mark.parametrize("zone", [NEW_YORK, KATHMANDU])
    @pytest.mark.parametrize("hours", [-23, 0, 23])
    @pytest.mark.parametrize("moment", [datetime.min, datetime.max])  # noqa: DTZ901
    def test_raises_nothing_from_its_first_and_last_moments(self, moment, hours, zone, rule):
        anchor = moment.replace(tzinfo=timezone(timedelta(hours=hours)))

        found = list(islice(occurrences(anchor, zone, rule), 3))

        assert all(each >= anchor for each in found)
        next_occurrence(anchor, zone, rule, after=anchor)
        due_occurrences(anchor, zone, rule, start=anchor, end=anchor, limit=3)

    @pytest.mark.parametrize("frequency", Frequency)
    def test_comes_soon_with_an_absurd_interval(self, frequency):
        anchor = utc("2026-01-15T09:00")
        rule = Rule(frequency, interval=10**30)

        assert list(occurrences(anchor, NEW_YORK, rule)) == [anchor]
        assert next_occurrence(anchor, NEW_YORK, rule, after=anchor) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"frequency": Frequency.DAILY, "interval": 0},
        {"frequency": Frequency.DAILY, "interval": -1},
        {"frequency": Frequency.DAILY, "count": 0},
        {"frequency": Frequency.DAILY, "weekdays": {0}},
        {"frequency": Frequency.WEEKLY, "weekdays": {7}},
        {"frequency": Frequency.DAILY, "until": datetime.fromisoformat("2026-01-15T09:00")},
    ],
)
def test_a_rule_that_makes_no_sense_cannot_be_made(wrong):
    with pytest.raises(ValueError, match=r".+"):
        Rule(**wrong)
