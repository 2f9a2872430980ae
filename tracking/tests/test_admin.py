"""The operators' pages about calls and notifications."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from polaris.admin_words import moment_in_words
from polaris.tests.accounts import signed_in
from schedules import services
from schedules.models import CallSchedule
from schedules.tests.factories import CallScheduleFactory
from tracking.admin_story import story_of
from tracking.models import CallLog, Notification
from tracking.states import CallStatus
from tracking.tests.factories import CallLogFactory, NotificationFactory

pytestmark = pytest.mark.django_db

LOGS = "admin:tracking_calllog_changelist"
NOTIFICATIONS = "admin:tracking_notification_changelist"
NINE = datetime(2026, 11, 24, 9, tzinfo=UTC)


def page(row: CallLog | Notification | CallSchedule, name: str = "change") -> str:
    opts = row._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_{name}", args=[quote(row.pk)])


def told(response) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


class TestLogs:
    def test_the_list_shows_when_how_late_how_long_and_why(self, desk):
        schedule = CallScheduleFactory(description="Dentist", timezone="Europe/Berlin")
        CallLogFactory(
            schedule=schedule,
            occurrence=NINE,
            timestamp=NINE + timedelta(seconds=5),
            status=CallStatus.BUSY,
            phone="+15005550006",
            duration=7,
            error_message="The line was busy.",
        )

        html = desk.get(reverse(LOGS)).content.decode()

        for words in ("Dentist", "Tue 24 Nov 2026, 10:00 Europe/Berlin", "5.0 s late", "7 s"):
            assert words in html
        assert "The line was busy." in html
        assert "+1••••••0006" in html
        assert "+15005550006" not in html

    def test_the_log_of_a_deleted_schedule_still_names_it(self, desk):
        log = CallLogFactory()
        CallSchedule.objects.all().delete()

        for path in (reverse(LOGS), page(log)):
            assert f"{log.schedule_id} (deleted)" in desk.get(path).content.decode()

    def test_the_list_asks_the_database_as_often_for_many_rows_as_for_few(
        self, desk, django_assert_num_queries
    ):
        CallLogFactory.create_batch(5)
        desk.get(reverse(LOGS))
        with CaptureQueriesContext(connection) as few:
            desk.get(reverse(LOGS))
        CallLogFactory.create_batch(40)

        with django_assert_num_queries(len(few)):
            desk.get(reverse(LOGS))

    @pytest.mark.parametrize(
        "term", ["{log.pk}", "{log.call_id}", "{log.phone}", "{log.schedule_id}"]
    )
    def test_is_searched_by_call_sid_phone_and_schedule_even_a_deleted_one(self, desk, term):
        log, _ = CallLogFactory(phone="+442079460000"), CallLogFactory()
        CallSchedule.objects.all().delete()

        response = desk.get(reverse(LOGS), {"q": term.format(log=log)})

        assert [row.pk for row in response.context["cl"].result_list] == [log.pk]

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("status__exact=busy", {"busy"}),
            ("timestamp_from=2026-01-02", {"completed"}),
            ("timestamp_to=2026-01-01", {"busy"}),
        ],
    )
    def test_is_filtered_by_state_and_day(self, desk, query, found):
        CallLogFactory(status="busy", timestamp=datetime(2026, 1, 1, 23, 59, tzinfo=UTC))
        CallLogFactory(status="completed", timestamp=datetime(2026, 1, 2, tzinfo=UTC))

        response = desk.get(f"{reverse(LOGS)}?{query}")

        assert {row.status for row in response.context["cl"].result_list} == found

    @pytest.mark.parametrize("role", ["superuser", "holder of every permission on logs"])
    def test_nobody_adds_changes_or_deletes_one(self, desk, role):
        every = ("add_calllog", "change_calllog", "delete_calllog", "view_calllog")
        client = desk if role == "superuser" else signed_in(*every)
        log = CallLogFactory(status="busy")

        assert client.get(page(log)).context["show_save"] is False
        assert client.post(page(log), {"status": "completed"}).status_code == 403
        assert client.post(page(log, "delete"), {"post": "yes"}).status_code == 403
        assert client.get(reverse("admin:tracking_calllog_add")).status_code == 403
        client.post(
            reverse(LOGS), {"action": "delete_selected", "_selected_action": log.pk, "post": "yes"}
        )
        log.refresh_from_db()
        assert log.status == "busy"

    def test_who_may_only_view_sees_a_masked_number(self):
        client = signed_in("view_calllog")

        html = client.get(page(CallLogFactory(phone="+15005550006"))).content.decode()

        assert "+1••••••0006" in html
        assert "+15005550006" not in html


class TestStory:
    @pytest.mark.parametrize("status", list(CallStatus))
    def test_is_told_of_every_state(self, desk, status):
        log = CallLogFactory(status=status, error_message="A reason.", error_code="reason")

        html = desk.get(page(log)).content.decode()

        assert "Why: A reason. (reason)" in html

    def test_tells_a_call_from_its_nominal_time_to_its_end(self):
        log = CallLogFactory.build(
            occurrence=NINE,
            timestamp=NINE + timedelta(seconds=30),
            start_time=NINE + timedelta(seconds=42),
            end_time=NINE + timedelta(seconds=102),
            duration=60,
            status=CallStatus.COMPLETED,
        )

        assert story_of(log, UTC) == [
            "Due on Tue 24 Nov 2026, 09:00 UTC.",
            "Dialled on Tue 24 Nov 2026, 09:00:30 UTC, 30 s late.",
            "Answered on Tue 24 Nov 2026, 09:00:42 UTC, after 12 s.",
            "Ended on Tue 24 Nov 2026, 09:01:42 UTC: completed, 60 s talked.",
        ]

    def test_tells_of_a_missed_call_that_it_was_never_dialled(self):
        log = CallLogFactory.build(
            occurrence=NINE,
            timestamp=NINE + timedelta(hours=2),
            status=CallStatus.MISSED,
            error_message="Its time had passed.",
        )

        assert story_of(log, UTC)[1:] == [
            "Recorded as missed on Tue 24 Nov 2026, 11:00 UTC, 2 h late; it was never dialled.",
            "Why: Its time had passed.",
        ]

    def test_tells_of_a_call_that_is_not_ours(self):
        log = CallLogFactory.build(
            schedule=None, occurrence=None, timestamp=NINE, created_by="", phone="+15005550006"
        )

        assert story_of(log, UTC) == [
            "The carrier told us of this call; no schedule of ours asked for it.",
            "Dialled on Tue 24 Nov 2026, 09:00 UTC.",
            "The carrier has accepted it and will dial.",
        ]


class TestCallsOfASchedule:
    def test_stand_on_its_page_and_only_they(self, desk):
        mine, other = CallLogFactory(), CallLogFactory()

        html = desk.get(page(mine.schedule)).content.decode()

        assert mine.pk in html
        assert other.pk not in html

    def test_come_in_pages_of_ten(self, desk, django_assert_max_num_queries):
        schedule = CallScheduleFactory()
        for n in range(25):
            CallLogFactory(schedule=schedule, occurrence=NINE + timedelta(days=n))

        with django_assert_max_num_queries(15):
            html = desk.get(page(schedule)).content.decode()

        assert sum(page(log) in html for log in schedule.logs.all()) == 10

    def test_are_hidden_from_who_may_not_see_logs(self):
        client = signed_in("view_callschedule")
        log = CallLogFactory(status="busy")

        assert log.pk not in client.get(page(log.schedule)).content.decode()
        html = client.get(reverse("admin:schedules_callschedule_changelist")).content.decode()
        assert "Last call" not in html
        assert "busy" not in html

    def test_the_list_of_schedules_shows_what_became_of_the_last_one(self, desk):
        schedule = CallScheduleFactory()
        for day, status in enumerate(["completed", "busy"]):
            CallLogFactory(schedule=schedule, occurrence=NINE + timedelta(days=day), status=status)

        response = desk.get(reverse("admin:schedules_callschedule_changelist"))

        assert response.context["cl"].result_list[0].last_call_status == "busy"
        assert "Last call" in response.content.decode()


class TestOccurrencesOfASchedule:
    @pytest.fixture
    def hourly(self):
        """Since yesterday, on the clock of Berlin."""
        start = (timezone.now() - timedelta(days=1)).replace(minute=0, second=0, microsecond=0)
        return CallScheduleFactory(
            scheduled_time=start,
            created_at=start,
            timezone="Europe/Berlin",
            repeat_config={"enabled": True, "frequency": "hourly", "interval": 1},
        )

    def test_stand_on_its_page_with_their_reasons_the_latest_first(self, desk, hourly):
        now = timezone.now()
        last = hourly.timetable.due(now - timedelta(hours=2), now, 5)[-1]
        CallLogFactory(
            schedule=hourly, occurrence=last, status="busy", error_message="Engaged for hours."
        )
        services.pause(hourly)

        html = desk.get(page(hourly)).content.decode()

        table = html.split("Occurrences, and why")[1].split("</table>")[0]
        assert table.count("<tbody") == 15
        assert table.count("The schedule is paused since") == 5
        assert table.count("nothing that is kept says why") == 9
        assert table.index("The schedule is paused") < table.index("Engaged for hours.")
        assert moment_in_words(last, hourly.zone) in table

    def test_reach_back_as_far_as_needed(self, desk):
        yearly = CallScheduleFactory(
            scheduled_time=NINE.replace(year=2012),
            created_at=NINE.replace(year=2012),
            repeat_config={"enabled": True, "frequency": "yearly", "interval": 1},
        )

        with time_machine.travel(NINE + timedelta(days=1)):
            html = desk.get(page(yearly)).content.decode()

        table = html.split("Occurrences, and why")[1].split("</table>")[0]
        years = re.findall(r"24 Nov (\d{4}), 09:00 UTC", table)
        assert years == [str(year) for year in range(2031, 2016, -1)]

    def test_show_what_is_skipped_among_the_next(self, desk, hourly):
        CallSchedule.objects.update(calling_window={"start": "08:00", "end": "21:00"})

        assert "outside the calling window" in desk.get(page(hourly)).content.decode()

    def test_ask_the_database_as_often_for_many_as_for_few(
        self, desk, hourly, django_assert_num_queries
    ):
        due = hourly.timetable.due(hourly.created_at, timezone.now(), 100)
        CallLogFactory(schedule=hourly, occurrence=due[-1], status="busy")
        desk.get(page(hourly))
        with CaptureQueriesContext(connection) as few:
            desk.get(page(hourly))
        for occurrence in due[:-1]:
            CallLogFactory(schedule=hourly, occurrence=occurrence, status="busy")

        # Where there is a second page of calls they are counted: nothing else is asked.
        with django_assert_num_queries(len(few)):
            desk.get(page(hourly))

    def test_are_hidden_from_who_may_not_see_logs(self, hourly):
        html = signed_in("view_callschedule").get(page(hourly)).content.decode()

        assert "Occurrences, and why" not in html

    def test_a_schedule_that_has_nothing_has_an_empty_table(self, desk):
        schedule = CallScheduleFactory(status="cancelled", scheduled_time=NINE.replace(year=2020))

        assert "No data" in desk.get(page(schedule)).content.decode()


class TestSendAgain:
    def select(self, client: Client, *rows: Notification, **more: str):
        data = {"action": "send_again_selected", "_selected_action": [row.pk for row in rows]}
        return client.post(reverse(NOTIFICATIONS), data | more)

    def test_asks_first(self, desk):
        failed = NotificationFactory(status="failed", attempts=5)

        response = self.select(desk, failed)

        assert "Yes, send again" in response.content.decode()
        failed.refresh_from_db()
        assert failed.status == "failed"

    def test_lets_the_failed_wait_again_and_passes_over_the_others(self, desk):
        failed, sent = NotificationFactory(status="failed"), NotificationFactory(status="sent")

        words = told(self.select(desk, failed, sent, confirm="yes"))

        assert "Put back into the outbox 1 notification: call.failed by email." in words
        assert "Passed over 1: call.failed by email (only a notification that has failed" in words
        failed.refresh_from_db()
        sent.refresh_from_db()
        assert (failed.status, sent.status) == ("waiting", "sent")
        assert LogEntry.objects.get().object_id == failed.pk

    def test_is_a_button_on_the_page_of_a_failed_one(self, desk):
        failed, sent = NotificationFactory(status="failed"), NotificationFactory(status="sent")

        offered = [
            {button["title"] for button in desk.get(page(row)).context["actions_detail"]}
            for row in (failed, sent)
        ]
        desk.get(page(failed, "send_again"))
        untouched = Notification.objects.get(pk=failed.pk).status
        desk.post(page(failed, "send_again"), {"_form_submitted": "True"})

        assert offered == [{"Send again"}, set()]
        assert untouched == "failed"
        assert Notification.objects.get(pk=failed.pk).status == "waiting"

    def test_is_refused_to_who_may_only_view(self):
        client = signed_in("view_notification")
        failed = NotificationFactory(status="failed")

        assert self.select(client, failed, confirm="yes").status_code == 403
        assert client.get(page(failed, "send_again")).status_code == 403
        submitted = client.post(page(failed, "send_again"), {"_form_submitted": "True"})
        assert submitted.status_code == 403
        failed.refresh_from_db()
        assert failed.status == "failed"

    def test_a_notification_cannot_be_edited(self, desk):
        notification = NotificationFactory(payload={"status": "failed"})

        assert (
            "&quot;status&quot;: &quot;failed&quot;"
            in desk.get(page(notification)).content.decode()
        )
        assert desk.post(page(notification), {"status": "sent"}).status_code == 403
