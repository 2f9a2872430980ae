"""Whatever is sent, a parser understands it or refuses it with its own error."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import phonenumbers
from hypothesis import given, settings
from hypothesis import strategies as st

from polaris.errors import InvalidPhone, PolarisError
from schedules.calling_window import (
    InvalidCallingWindow,
    normalise_calling_window,
    parse_calling_window,
)
from schedules.number_zones import zones_of
from schedules.phone import check_phone
from schedules.planning import make_plan
from schedules.repeat_config import InvalidRepeatConfig, normalise_repeat_config
from schedules.retry_policy import InvalidRetryPolicy, normalise_retry_policy, parse_retry_policy

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")

# What JSON can hold, and what Python's reader lets in besides: infinities and lone surrogates.
TEXT = st.text(st.characters(exclude_categories=[]), max_size=30)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
WORDS = st.sampled_from(
    ["daily", "weekly", "monthly", "monday", "sunday", "08:00", "21:00", "24:00", "number", "busy",
     "no_answer", "failed", "2030-02-01", "2030-02-01T10:00:00Z", "9999-12-31T23:59:59Z", "DE",
     "US-CA", "0 9 * * 1", "FREQ=DAILY;COUNT=3", "Europe/Berlin", "local", "schedule"]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def bodies(*keys):
    """Objects with these keys, odd values, and now and then a key of nobody's."""
    return VALUES | st.dictionaries(st.sampled_from(keys) | TEXT, VALUES, max_size=5)


WINDOWS = bodies("days", "start", "end", "timezone", "zone")
RETRIES = bodies("on", "max_attempts", "wait_seconds", "backoff", "attempts", "wait", "delays")
REPEATS = bodies(
    "enabled", "frequency", "interval", "weekdays", "count", "end_date", "cron", "rrule", "exdates",
    "skip_holidays", "month_day",
)  # fmt: skip

NUMBERS = st.text("+0123456789 ", max_size=20) | st.from_regex(r"\A\+[0-9]{1,16}\Z")
TIMES = (
    TEXT
    | WORDS
    | st.datetimes().map(lambda moment: moment.isoformat())
    | st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())
    | st.from_regex(r"\A[0-9]{1,5}-[0-9]{2}-[0-9]{2}T[0-9:.,]{0,15}[Z+-]?[0-9:]{0,6}\Z")
)


@given(TEXT | NUMBERS)
def test_any_text_is_a_phone_number_or_is_refused(text):
    try:
        phone = check_phone(text)
    except InvalidPhone:
        return

    assert phone == text
    assert phonenumbers.parse(phone)
    assert isinstance(zones_of(phone), tuple)


@given(WINDOWS)
def test_any_value_is_a_calling_window_or_is_refused(raw):
    try:
        window = normalise_calling_window(raw)
    except InvalidCallingWindow:
        return

    assert parse_calling_window(window) == parse_calling_window(raw)


@given(RETRIES)
def test_any_value_is_a_retry_policy_or_is_refused(raw):
    try:
        policy = normalise_retry_policy(raw)
    except InvalidRetryPolicy:
        return

    assert parse_retry_policy(policy) == parse_retry_policy(raw)


@given(REPEATS)
def test_any_value_is_a_repetition_or_is_refused(raw):
    try:
        config = normalise_repeat_config(raw, anchor=NOW, zone=NEW_YORK)
    except InvalidRepeatConfig:
        return

    assert normalise_repeat_config(config, anchor=NOW, zone=NEW_YORK) == config


@given(
    st.sampled_from(["+14155550100", "+15005550006"]) | TEXT | NUMBERS,
    TIMES,
    st.sampled_from(["UTC", "America/New_York", "Pacific/Apia"]) | TEXT,
    st.none() | REPEATS,
    st.none() | WINDOWS,
    st.none() | RETRIES,
)
@settings(deadline=None)
def test_whatever_is_asked_for_is_planned_or_refused(phone, time, zone, repeats, window, retries):
    try:
        plan = make_plan(
            phone=phone,
            scheduled_time=time,
            timezone=zone,
            repeat_config=repeats,
            calling_window=window,
            retry_policy=retries,
            now=NOW,
        )
    except PolarisError as refusal:
        answer = refusal.error.status
    else:
        answer = 200 if plan.first >= NOW else 500

    assert answer in {200, 400}


@given(TIMES, st.timezones())
@settings(deadline=None)
def test_any_text_is_a_moment_to_come_or_is_refused(time, zone):
    try:
        plan = make_plan(
            phone="+14155550100",
            scheduled_time=time,
            timezone=str(zone),
            repeat_config=None,
            now=NOW,
        )
    except PolarisError:
        return

    assert plan.scheduled_time.tzinfo is UTC
    assert plan.first == plan.scheduled_time >= NOW
