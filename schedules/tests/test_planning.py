"""What a client asks for, checked: phones, times, zones."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from polaris.errors import InvalidPhone, InvalidRepetition, InvalidTime, PolarisError
from schedules.planning import make_plan

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def plan(**asked):
    return make_plan(
        **{
            "phone": "+15005550006",
            "scheduled_time": "2030-01-15T10:00:00Z",
            "timezone": "UTC",
            "repeat_config": None,
            "now": NOW,
        }
        | asked
    )


@pytest.mark.parametrize(
    "phone", ["+1234567890", "+15005550006", "+447911123456", "+4915112345678"]
)
def test_e164_numbers_pass(phone):
    assert plan(phone=phone).phone == phone


@pytest.mark.parametrize(
    "phone",
    [
        "",
        "+",
        "15005550006",
        "+1 500 555 0006",
        "+1-500-555-0006",
        "0049151123456",
        "+0151123456",
        "+123456789012345678",
        "+1500555000a",
        "+١٥٠٠٥٥٥٠٠٠٦",
        "+15005550006\n",
        "tel:+15005550006",
        "+9991234567",
    ],
)
def test_anything_else_is_an_invalid_phone(phone):
    with pytest.raises(InvalidPhone) as refused:
        plan(phone=phone)

    assert refused.value.field == "phone"


@pytest.mark.parametrize(
    ("scheduled_time", "timezone", "instant"),
    [
        ("2030-01-15T10:00:00Z", "America/New_York", "2030-01-15T10:00:00+00:00"),
        ("2030-01-15T10:00:00+05:45", "UTC", "2030-01-15T04:15:00+00:00"),
        ("2030-01-15T10:00:00", "America/New_York", "2030-01-15T15:00:00+00:00"),
        ("2030-01-15 10:00", "Asia/Kathmandu", "2030-01-15T04:15:00+00:00"),
        ("2030-01-15T10:00:00.123456Z", "UTC", "2030-01-15T10:00:00.123000+00:00"),
        ("2030-03-10T02:30:00", "America/New_York", "2030-03-10T07:30:00+00:00"),  # in a gap
        ("2030-11-03T01:30:00", "America/New_York", "2030-11-03T05:30:00+00:00"),  # the first
    ],
)
def test_a_time_with_an_offset_is_that_instant_and_without_one_local(
    scheduled_time, timezone, instant
):
    planned = plan(scheduled_time=scheduled_time, timezone=timezone)

    assert planned.scheduled_time == datetime.fromisoformat(instant)
    assert planned.first == planned.scheduled_time


@pytest.mark.parametrize(
    "scheduled_time",
    [
        "",
        "tomorrow",
        "2030-01-15",
        "10:00",
        "2030-02-30T10:00:00Z",
        "2030-01-15T25:00:00Z",
        "2030-01-15T10:00:00+99:00",
        "1893456000",
        "2029-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_a_time_that_is_none_or_past_is_refused(scheduled_time):
    with pytest.raises(InvalidTime) as refused:
        plan(scheduled_time=scheduled_time)

    assert refused.value.field == "scheduled_time"


@pytest.mark.parametrize(
    "zone", ["", "Mars/Phobos", "EST5EDT4", "../etc/passwd", "america/new_york"]
)
def test_an_unknown_zone_is_refused(zone):
    with pytest.raises(InvalidTime) as refused:
        plan(timezone=zone)

    assert refused.value.field == "timezone"


class TestAWallTimeThatTheClockSkips:
    asked = "2030-03-10T02:30:00"
    moved_to = datetime(2030, 3, 10, 7, 30, tzinfo=UTC)
    new_york = {"timezone": "America/New_York", "repeat_config": {"frequency": "daily"}}

    def test_is_moved_and_kept(self):
        planned = plan(scheduled_time=self.asked, **self.new_york)

        assert (planned.scheduled_time, planned.first) == (self.moved_to, self.moved_to)
        assert planned.wall_time == self.asked
        assert planned.anchor == datetime(2030, 3, 10, 2, 30, tzinfo=ZoneInfo("America/New_York"))

    @pytest.mark.parametrize("given", ["2030-03-10T03:30:00", "2030-03-10T07:30:00Z"])
    def test_is_none_where_another_was_asked_for(self, given):
        planned = plan(scheduled_time=given, **self.new_york)

        assert (planned.scheduled_time, planned.wall_time) == (self.moved_to, "")
        assert planned.anchor == self.moved_to

    @pytest.mark.parametrize("given", [moved_to, "2030-03-10T07:30:00Z"])
    def test_stays_when_its_instant_is_sent_again(self, given):
        kept = {"kept_time": self.moved_to, "kept_wall": ("America/New_York", self.asked)}

        assert plan(scheduled_time=given, **self.new_york, **kept).wall_time == self.asked
        moved = plan(scheduled_time=given, timezone="Europe/Helsinki", **kept)
        assert moved.wall_time == ""
        assert plan(scheduled_time="2030-03-10T03:30", **self.new_york, **kept).wall_time == ""

    def test_may_be_skipped_for_good(self):
        rule = {"repeat_config": {"frequency": "daily", "gap": "skip"}}

        planned = plan(scheduled_time=self.asked, **self.new_york | rule)

        assert planned.first == datetime(2030, 3, 11, 6, 30, tzinfo=UTC)


def test_an_end_before_the_start_is_refused():
    with pytest.raises(InvalidRepetition) as refused:
        plan(repeat_config={"frequency": "daily", "end_date": "2030-01-14"})

    assert refused.value.field == "repeat_config.end_date"


def test_a_recurring_schedule_may_keep_an_anchor_that_has_passed():
    anchor = datetime(2029, 12, 1, 9, tzinfo=UTC)

    planned = plan(scheduled_time=anchor, repeat_config={"frequency": "daily"}, kept_time=anchor)

    assert planned.first == datetime(2030, 1, 1, 9, tzinfo=UTC)


def test_a_one_time_call_may_not():
    anchor = datetime(2029, 12, 1, 9, tzinfo=UTC)

    with pytest.raises(InvalidTime):
        plan(scheduled_time=anchor, kept_time=anchor)


def test_a_rule_that_is_over_is_refused():
    anchor = datetime(2029, 12, 1, 9, tzinfo=UTC)

    with pytest.raises(PolarisError):
        plan(
            scheduled_time=anchor,
            repeat_config={"frequency": "daily", "count": 3},
            kept_time=anchor,
        )
