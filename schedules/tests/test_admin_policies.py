"""Calling hours, retries, overlap and the preview, on the operators' pages."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.contrib.admin.utils import quote
from django.test import Client
from django.urls import reverse

from polaris.tests.accounts import signed_in
from schedules.admin_words import retries_in_words, window_in_words
from schedules.models import ActiveSchedule, CallSchedule
from schedules.tests.factories import ActiveScheduleFactory
from schedules.tests.test_admin import form_data, shown_form

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_winter")]

ADD = "admin:schedules_callschedule_add"
PREVIEW = "admin:schedules_callschedule_preview"
EVERY_DAY = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WINDOW = {"days": EVERY_DAY, "zone": "schedule", "start": "08:00", "end": "21:00"}
RETRIES = {"on": ["busy", "no_answer"], "attempts": 3, "delays": [60, 300]}


@pytest.fixture
def _winter():
    with time_machine.travel(datetime(2026, 1, 10, 9, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def schedule():
    """An hourly series from 09:00 in Berlin, armed."""
    return ActiveScheduleFactory(
        schedule__phone="+4915112345678",
        schedule__timezone="Europe/Berlin",
        schedule__scheduled_time=datetime(2026, 1, 12, 8, tzinfo=UTC),
        schedule__repeat_config={"enabled": True, "frequency": "hourly", "interval": 1},
        schedule__calling_window=WINDOW,
        schedule__retry_policy=RETRIES,
        schedule__overlap="wait",
    ).schedule


def page(schedule, name="change"):
    return reverse(f"admin:schedules_callschedule_{name}", args=[quote(schedule.pk)])


def policies(schedule):
    schedule.refresh_from_db()
    return schedule.calling_window, schedule.retry_policy, schedule.overlap


# -- the form ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({}, (None, None, "skip")),
        (
            {"window_start": "08:00", "window_end": "21:00", "overlap": "wait"},
            (WINDOW, None, "wait"),
        ),
        (
            {
                "window_start": "08:00",
                "window_end": "24:00",
                "window_days": ["friday", "monday"],
                "window_zone": "Europe/Berlin",
            },
            (
                {
                    "days": ["monday", "friday"],
                    "zone": "Europe/Berlin",
                    "start": "08:00",
                    "end": "24:00",
                },
                None,
                "skip",
            ),
        ),
        ({"window_zone": "number", "window_days": ["monday"]}, (None, None, "skip")),
        (
            {"retry_on": ["no_answer", "busy"], "retry_attempts": "3", "retry_delays": "60, 300"},
            (None, RETRIES, "skip"),
        ),
    ],
)
def test_the_boxes_make_the_policies(desk, fields, stored):
    response = desk.post(reverse(ADD), form_data(**fields))

    assert response.status_code == 302, response.context["adminform"].form.errors
    assert policies(CallSchedule.objects.get()) == stored


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"window_start": "8"}, "window_start", "Must be a time of day"),
        ({"window_start": "08:00"}, "window_end", "Required"),
        ({"window_end": "08:00"}, "window_start", "Required"),
        ({"window_start": "08:00", "window_end": "25:00"}, "window_end", "24:00"),
        ({"window_start": "10:00", "window_end": "21:00"}, "scheduled_time", "opens next on"),
        (
            {"window_start": "10:00", "window_end": "21:00", "repeats": "daily"},
            "window_start",
            "None of the next 1000",
        ),
        (
            {
                "phone": "+18005551234",
                "window_start": "10:00",
                "window_end": "12:00",
                "window_zone": "number",
            },
            "window_zone",
            "never open in all of them",
        ),
        ({"window_start": "08:00", "window_zone": "Mars"}, "window_zone", "valid choice"),
        ({"retry_on": ["busy"]}, "retry_attempts", "Required"),
        ({"retry_attempts": "3"}, "retry_on", "Required"),
        ({"retry_on": ["busy"], "retry_attempts": "3"}, "retry_delays", "Required"),
        ({"retry_on": ["late"]}, "retry_on", "valid choice"),
        ({"retry_on": ["busy"], "retry_attempts": "11"}, "retry_attempts", "less than or equal"),
        (
            {"retry_on": ["busy"], "retry_attempts": "3", "retry_delays": "a minute"},
            "retry_delays",
            "Write seconds",
        ),
        (
            {"retry_on": ["busy"], "retry_attempts": "2", "retry_delays": "1, 2"},
            "retry_delays",
            "Has more than 1",
        ),
        ({"overlap": "queue"}, "overlap", "valid choice"),
    ],
)
def test_says_at_the_box_what_is_wrong_and_writes_nothing(desk, fields, field, words):
    response = desk.post(reverse(ADD), form_data(**fields))

    errors = response.context["adminform"].form.errors
    assert words in str(errors[field]), errors
    assert not CallSchedule.objects.exists()


def test_saved_as_it_is_it_keeps_the_policies_and_what_is_armed(desk, schedule):
    before = policies(schedule), ActiveSchedule.objects.values().get()

    response = desk.post(page(schedule), shown_form(desk.get(page(schedule))))

    assert response.status_code == 302, response.context["adminform"].form.errors
    assert (policies(schedule), ActiveSchedule.objects.values().get()) == before


def test_emptied_boxes_take_the_policies_away(desk, schedule):
    data = shown_form(desk.get(page(schedule)))
    data |= {"window_start": "", "window_end": "", "retry_attempts": "", "retry_delays": ""}
    data.pop("retry_on")

    desk.post(page(schedule), data)

    assert policies(schedule) == (None, None, "wait")


def test_a_page_that_is_only_read_says_them_in_words(desk, schedule):
    CallSchedule.objects.update(status="running")

    html = desk.get(page(schedule)).content.decode()

    assert "08:00 to 21:00 every day, on the schedule&#x27;s clock" in html
    assert "retries busy and no answer, up to 3 attempts, after 1 min, 5 min" in html
    assert "wait for the end of the call" in html


@pytest.mark.parametrize(
    ("in_words", "config", "words"),
    [
        (window_in_words, None, "at any hour"),
        (window_in_words, {"start": "8"}, "cannot be read: calling_window.start: Must be"),
        (retries_in_words, None, "none: an occurrence is tried once"),
        (retries_in_words, {"on": []}, "cannot be read: retry_policy.on: Must be"),
        (
            retries_in_words,
            {"on": ["machine"], "attempts": 2, "delays": [5]},
            "retries machine, up to 2 attempts, after 5 s",
        ),
    ],
)
def test_words(in_words, config, words):
    assert in_words(config).startswith(words)


# -- the preview -------------------------------------------------------------------------------
class TestPreview:
    def test_shows_what_the_form_would_call(self, desk):
        fields = form_data(
            scheduled_time_0="2026-03-28",
            scheduled_time_1="02:30:00",
            repeats="daily",
            phone="",
        )

        html = desk.post(reverse(PREVIEW), fields).content.decode()

        assert "Sat 28 Mar 2026, 02:30 Europe/Berlin" in html
        assert "Sun 29 Mar 2026, 03:30 Europe/Berlin" in html
        assert "Sun 29 Mar 2026, 01:30 UTC" in html
        assert "moved" in html
        assert "Mon 6 Apr 2026" in html
        assert "Tue 7 Apr 2026" not in html
        assert not CallSchedule.objects.exists()

    def test_shows_what_is_skipped_and_why(self, desk):
        fields = form_data(
            scheduled_time_0="2026-03-28",
            scheduled_time_1="20:30:00",
            repeats="hourly",
            window_start="08:00",
            window_end="21:00",
        )

        html = desk.post(reverse(PREVIEW), fields).content.decode()

        assert "Sat 28 Mar 2026, 21:30" in html
        assert "It is outside the calling window, 08:00 to 21:00 every day" in html

    def test_says_what_is_wrong(self, desk):
        html = desk.post(reverse(PREVIEW), form_data(window_start="8")).content.decode()

        assert "From: Must be a time of day from 00:00 to 23:59, such as 08:00." in html

    def test_of_a_schedule_begins_now_and_writes_nothing(self, desk, schedule):
        CallSchedule.objects.update(scheduled_time=datetime(2026, 1, 5, 8, tzinfo=UTC))
        data = shown_form(desk.get(page(schedule))) | {"every": "2"}
        before = CallSchedule.objects.values().get()

        html = desk.post(page(schedule, "preview_change"), data).content.decode()

        assert "Sat 10 Jan 2026, 11:00 Europe/Berlin" in html
        assert "12:00 Europe/Berlin" not in html
        assert CallSchedule.objects.values().get() == before

    def test_is_offered_where_the_form_can_be_written(self, desk, schedule):
        html = desk.get(page(schedule)).content.decode()
        assert page(schedule, "preview_change") in html
        assert reverse(PREVIEW) in desk.get(reverse(ADD)).content.decode()

        CallSchedule.objects.update(status="running")
        assert "Show the next calls" not in desk.get(page(schedule)).content.decode()

    @pytest.mark.parametrize("right", [None, "view_callschedule"])
    def test_is_for_those_who_may_write(self, right, schedule):
        reader = signed_in(*filter(None, [right]))

        assert reader.post(reverse(PREVIEW), form_data()).status_code == 403
        assert reader.post(page(schedule, "preview_change"), form_data()).status_code == 403

    def test_needs_a_post_with_its_token(self, desk, operator):
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(operator)

        assert desk.get(reverse(PREVIEW)).status_code == 405
        assert strict.post(reverse(PREVIEW), form_data()).status_code == 403

    def test_of_a_schedule_that_is_gone_is_not_found(self, desk):
        path = reverse(f"{PREVIEW}_change", args=["schedule_0"])

        assert desk.post(path, form_data()).status_code == 404
