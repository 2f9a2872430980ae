"""POST /schedule/preview and GET /schedule/{id}/preview: what will be dialled, told beforehand."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from rest_framework.test import APIClient

from polaris.access import owner_id
from schedules.models import ActiveSchedule, CallSchedule
from schedules.tests.factories import CallScheduleFactory

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_winter")]

DAYTIME = {"start": "08:00", "end": "21:00"}
HOURLY = {"frequency": "hourly"}
DAILY = {"frequency": "daily"}


@pytest.fixture
def _winter():
    with time_machine.travel(datetime(2026, 1, 10, 9, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def preview(api):
    """Asks what a daily call at 02:30 in New York would be, with some fields changed."""

    def send(**changes):
        body = {
            "scheduled_time": "2026-03-07T02:30:00",
            "timezone": "America/New_York",
            "repeat_config": DAILY,
        }
        body = {key: value for key, value in (body | changes).items() if value is not ...}
        return api.post("/schedule/preview", body, format="json")

    return send


def lines(answer):
    assert answer.status_code == 200, answer.content
    return answer.json()["occurrences"]


def test_a_night_on_which_the_clock_goes_forward(preview):
    answer = preview(occurrences=3)

    assert answer.json()["status"] == "success"
    assert answer.json()["timezone"] == "America/New_York"
    first, second, third = lines(answer)
    assert first == {
        "number": 1,
        "at": "2026-03-07T07:30:00Z",
        "local": "2026-03-07T02:30:00-05:00",
        "mark": "none",
        "because": "",
    }
    assert (second["at"], second["local"]) == ("2026-03-08T07:30:00Z", "2026-03-08T03:30:00-04:00")
    assert second["mark"] == "moved"
    assert second["because"] == "The clock skips 02:30 that day."
    assert (third["number"], third["local"]) == (3, "2026-03-09T02:30:00-04:00")


def test_a_night_on_which_the_clock_goes_back(preview):
    found = lines(preview(scheduled_time="2026-10-31T01:30:00", occurrences=2))

    assert [line["mark"] for line in found] == ["none", "first_of_two"]
    assert found[1]["local"] == "2026-11-01T01:30:00-04:00"


def test_what_the_window_skips_is_listed_but_not_counted(preview):
    found = lines(
        preview(
            scheduled_time="2026-03-06T20:30:00",
            repeat_config=HOURLY,
            calling_window=DAYTIME,
            occurrences=2,
        )
    )

    assert [line["number"] for line in found] == [1, *[None] * 11, 2]
    assert found[1] == {
        "number": None,
        "at": None,
        "local": "2026-03-06T21:30:00",
        "mark": "skipped",
        "because": (
            "It is outside the calling window, 08:00 to 21:00 every day, on the schedule's clock."
        ),
    }
    assert found[-1]["local"] == "2026-03-07T08:30:00-05:00"


@pytest.mark.parametrize(
    ("changes", "local"),
    [
        (
            {"repeat_config": {"cron": "30 2 * * *", "skip_holidays": "US"}},
            "2026-05-25T02:30:00",  # Memorial Day
        ),
        ({"repeat_config": DAILY | {"exdates": ["2026-05-25"]}}, "2026-05-25T02:30:00"),
    ],
)
def test_what_a_rule_leaves_out_is_listed_with_its_reason(preview, changes, local):
    found = lines(preview(scheduled_time="2026-05-24T02:30:00", occurrences=2, **changes))

    assert [line["number"] for line in found] == [1, None, 2]
    assert (found[1]["local"], found[1]["mark"]) == (local, "skipped")
    assert found[1]["because"]


def test_a_first_call_that_the_clock_skips_is_moved_and_its_wall_time_kept(preview):
    found = lines(preview(scheduled_time="2026-03-08T02:30:00", occurrences=2))

    assert [line["local"] for line in found] == [
        "2026-03-08T03:30:00-04:00",
        "2026-03-09T02:30:00-04:00",
    ]
    assert [line["mark"] for line in found] == ["moved", "none"]


def test_so_many_are_skipped_that_not_all_are_listed_and_no_call_is_lost(preview):
    found = lines(
        preview(
            scheduled_time="2026-03-06T10:30:00",
            repeat_config=HOURLY,
            calling_window={"start": "10:00", "end": "11:00"},
            occurrences=100,
        )
    )

    numbered = [line for line in found if line["number"]]
    assert [line["number"] for line in numbered] == list(range(1, 101))
    assert len(found) == 300
    assert {line["local"][11:16] for line in numbered} == {"10:30"}


def test_a_rule_that_ends_shows_fewer(preview):
    found = lines(preview(repeat_config=DAILY | {"count": 2}))

    assert [line["number"] for line in found] == [1, 2]


def test_ten_are_shown_where_nothing_else_is_asked(preview):
    assert len(lines(preview(repeat_config=HOURLY))) == 10


def test_a_one_time_call_has_one_line(preview):
    assert [line["at"] for line in lines(preview(repeat_config=None))] == ["2026-03-07T07:30:00Z"]


def test_nothing_is_written(preview):
    lines(preview())

    assert not CallSchedule.objects.exists()
    assert not ActiveSchedule.objects.exists()


def test_the_whole_body_of_a_schedule_is_taken(preview):
    answer = preview(
        phone="+12125551234",
        description="x",
        overlap="wait",
        retry_policy={"on": ["busy"], "attempts": 2, "delays": [60]},
    )

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"occurrences": 0}, "SCHEDULE_007", "occurrences"),
        ({"occurrences": 101}, "SCHEDULE_007", "occurrences"),
        ({"occurrences": "many"}, "SCHEDULE_007", "occurrences"),
        ({"scheduled_time": ...}, "SCHEDULE_003", "scheduled_time"),
        ({"scheduled_time": "2020-01-01T00:00:00Z"}, "SCHEDULE_002", "scheduled_time"),
        ({"repeat_config": {"frequency": "x"}}, "SCHEDULE_006", "repeat_config.frequency"),
        ({"phone": "12"}, "SCHEDULE_001", "phone"),
        ({"phone": ""}, "SCHEDULE_003", "phone"),
        ({"fone": "12"}, "SCHEDULE_007", "fone"),
        ({"calling_window": DAYTIME | {"zone": "number"}}, "SCHEDULE_003", "phone"),
        ({"calling_window": DAYTIME}, "SCHEDULE_009", "calling_window"),
        ({"retry_policy": {"on": []}}, "SCHEDULE_010", "retry_policy.on"),
    ],
)
def test_what_could_not_be_created_is_refused_as_it_would_be(preview, changes, code, field):
    answer = preview(**changes)

    assert answer.status_code == 400
    assert answer.json()["error_code"] == code
    assert answer.json()["details"]["field"] == field


def test_it_needs_a_login():
    assert APIClient().post("/schedule/preview", {}, format="json").status_code == 401


@pytest.mark.parametrize(
    ("repeat_config", "window"),
    [
        (HOURLY, DAYTIME),
        (DAILY, {"start": "02:00", "end": "04:00"}),
        ({"frequency": "hourly", "interval": 5}, {"start": "22:00", "end": "03:00"}),
        ({"frequency": "weekly", "weekdays": ["sun", "wed"]}, None),
    ],
)
def test_what_was_previewed_is_what_is_armed(api, preview, repeat_config, window):
    asked = {"repeat_config": repeat_config, "calling_window": window, "phone": "+12125551234"}
    told = [line["at"] for line in lines(preview(**asked, occurrences=20)) if line["at"]]
    body = asked | {"scheduled_time": "2026-03-07T02:30:00", "timezone": "America/New_York"}

    created = api.post("/schedule/", body, format="json")

    schedule = CallSchedule.objects.get()
    assert created.json()["next_execution"] == told[0]
    after, armed = schedule.scheduled_time - timedelta(seconds=1), []
    for _ in told:
        after = schedule.timetable.next(after)
        armed.append(after.strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert armed == told
    assert [
        line["at"]
        for line in lines(api.get(f"/schedule/{schedule.pk}/preview?occurrences=20"))
        if line["at"]
    ] == told


class TestOfASchedule:
    @pytest.fixture
    def daily(self, client_user):
        def make(**fields):
            return CallScheduleFactory(
                created_by=owner_id(client_user),
                scheduled_time=datetime(2026, 1, 1, 12, tzinfo=UTC),
                repeat_config={"enabled": True, "frequency": "daily"},
                **fields,
            )

        return make

    def test_begins_now(self, api, daily):
        found = lines(api.get(f"/schedule/{daily().pk}/preview?occurrences=2"))

        assert [line["at"] for line in found] == ["2026-01-10T12:00:00Z", "2026-01-11T12:00:00Z"]

    @pytest.mark.parametrize("status", ["completed", "cancelled", "failed"])
    def test_nothing_follows_where_it_is_over(self, api, daily, status):
        assert lines(api.get(f"/schedule/{daily(status=status).pk}/preview")) == []

    @pytest.mark.parametrize(
        ("query", "field"),
        [("occurrences=0", "occurrences"), ("occurrences=x", "occurrences"), ("n=1", "n")],
    )
    def test_its_query_is_strict(self, api, daily, query, field):
        answer = api.get(f"/schedule/{daily().pk}/preview?{query}")

        assert answer.status_code == 400
        assert (answer.json()["error_code"], answer.json()["details"]["field"]) == (
            "REQUEST_007",
            field,
        )

    def test_that_of_somebody_else_does_not_exist(self, api):
        other = CallScheduleFactory(created_by="user_0")

        assert api.get(f"/schedule/{other.pk}/preview").status_code == 404
