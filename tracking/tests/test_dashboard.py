"""The dashboard: what an operator sees first."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from polaris.tests.accounts import signed_in
from schedules import gate
from schedules.models import ActiveSchedule, CallSchedule, Runner
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.states import ON_THE_LINE, UNSUCCESSFUL
from tracking.tests.factories import CallLogFactory

pytestmark = pytest.mark.django_db

INDEX = "admin:index"
NOBODY = "No runner is there to dial."


def armed(due: datetime, **fields) -> CallSchedule:
    schedule = CallScheduleFactory(scheduled_time=due, **fields)
    ActiveScheduleFactory(schedule=schedule)
    return schedule


def cards(client: Client) -> dict:
    return client.get(reverse(INDEX)).context["cards"]


def html(client: Client) -> str:
    return " ".join(client.get(reverse(INDEX)).content.decode().split())


class TestRunner:
    def test_alive(self, desk):
        Runner.objects.create(host="calls-1", process_id=7)

        assert "Yes: calls-1:7" in html(desk)

    def test_alive_and_in_trouble(self, desk):
        Runner.objects.create(host="calls-1", process_id=7, trouble="the <broker> is away")

        assert "The &lt;broker&gt; is away." in html(desk)

    def test_never_seen(self, desk):
        shown = html(desk)

        assert "No: nothing is dialled." in shown
        assert "manage.py runapscheduler" in shown
        assert "No runner has ever been seen here." in shown

    @pytest.mark.parametrize(("stopped", "words"), [(False, "fell silent"), (True, "was stopped")])
    def test_gone(self, desk, stopped, words):
        seen = timezone.now() - timedelta(hours=2)
        Runner.objects.create(
            host="calls-1", process_id=7, last_seen_at=seen, stopped_at=seen if stopped else None
        )

        shown = html(desk)

        assert "No: nothing is dialled." in shown
        assert f"calls-1:7 {words}; it was last seen 2 h ago." in shown


class TestWorkers:
    @pytest.fixture(autouse=True)
    def _a_runner(self):
        Runner.objects.create(host="calls-1", process_id=7)

    def test_threads_need_none(self, desk):
        assert "worker" not in html(desk)

    def test_alive(self, desk, settings):
        settings.SCHEDULER_EXECUTOR = "celery"
        Runner.objects.create(role="worker", host="calls-2", process_id=8)

        shown = html(desk)

        assert "Yes: calls-1:7" in shown
        assert "Worker: calls-2:8" in shown
        assert "Yes: calls-2:8" not in shown

    def test_gone(self, desk, settings):
        settings.SCHEDULER_EXECUTOR = "celery"
        seen = timezone.now() - timedelta(hours=2)
        Runner.objects.create(role="worker", host="calls-2", process_id=8, last_seen_at=seen)

        shown = html(desk)

        assert "No worker is alive: nothing is dialled." in shown
        assert "One was last seen 2 h ago." in shown


class TestDueNext:
    def test_shows_the_next_ten_in_order_each_in_its_own_zone(self, desk):
        first = datetime(2090, 1, 1, 8, tzinfo=UTC)
        for n in reversed(range(12)):
            armed(
                first + timedelta(hours=n),
                description=f"call {n}",
                timezone="Europe/Berlin",
                phone="+15005550006",
            )

        lines = cards(desk)["due"]

        assert [line.title for line in lines] == [f"call {n}" for n in range(10)]
        assert lines[0].when == "Sun 1 Jan 2090, 09:00 Europe/Berlin"
        assert lines[0].phone == "+1••••••0006"

    def test_says_how_far_off_they_are(self, desk, time_machine):
        time_machine.move_to(datetime(2026, 5, 1, 10, tzinfo=UTC), tick=False)
        armed(timezone.now() + timedelta(hours=2, minutes=5))

        assert cards(desk)["due"][0].distance == "in 2 h 5 min"

    def test_counts_what_is_due_and_in_nobodys_hands(self, desk, time_machine):
        now = datetime(2026, 5, 1, 10, tzinfo=UTC)
        time_machine.move_to(now, tick=False)
        armed(now - timedelta(minutes=3))
        held = armed(now - timedelta(minutes=9))
        held.armed.update(leased_until=now + timedelta(seconds=30), runner_id="runner_x")

        assert cards(desk)["overdue"] == {
            "count": 1,
            "deferred": 0,
            "by": "3 min",
            "why": NOBODY,
        }
        said = f"Overdue: 1 call is due and not dialled, by 3 min at most. {NOBODY}"
        assert said in html(desk)

    def test_counts_among_what_is_overdue_what_was_refused_for_now(self, desk, time_machine):
        now = datetime(2026, 5, 1, 10, tzinfo=UTC)
        time_machine.move_to(now, tick=False)
        deferred = armed(now - timedelta(minutes=3), description="Dentist")
        deferred.armed.update(
            next_execution=now + timedelta(seconds=40), asked=2, waits_for="Twilio 20429: Too many."
        )

        shown = cards(desk)

        assert shown["overdue"] == {
            "count": 1,
            "deferred": 1,
            "by": "3 min",
            "why": "",
        }
        assert "The carrier has refused 1 of them for now." in html(desk)
        assert shown["due"][0].badge == "deferred"
        assert shown["due"][0].remark == "It is due and waits: Twilio 20429: Too many."

    def test_a_further_attempt_is_named(self, desk):
        schedule = armed(timezone.now() + timedelta(hours=1))
        schedule.armed.update(origin=ActiveSchedule.Origin.RETRY, attempt=2)

        assert cards(desk)["due"][0].remark == "attempt 2"

    def test_leaves_out_what_is_paused(self, desk):
        schedule = armed(timezone.now())
        schedule.armed.update(next_execution=None)

        assert cards(desk)["due"] == []
        assert "No call is armed." in html(desk)


class TestGate:
    def test_an_open_one_is_no_news(self, desk):
        shown = html(desk)

        assert "Nothing is dialled" not in shown
        assert "Stop all dialling" in shown

    def test_a_halt_of_the_carriers_says_why_since_when_and_when_one_is_tried(
        self, desk, time_machine
    ):
        time_machine.move_to(datetime(2026, 5, 1, 10, tzinfo=UTC), tick=False)
        armed(timezone.now() - timedelta(minutes=3))
        gate.close("Twilio 20003: Authenticate")
        time_machine.shift(10)

        shown = html(desk)

        assert "Nothing is dialled: Twilio 20003: Authenticate" in shown
        assert "by the carrier&#x27;s refusal on Fri 1 May 2026, 10:00 UTC, 10 s ago" in shown
        assert "One call is tried in 20 s." in shown
        assert "1 call is due and not dialled, by 3 min 10 s at most." in shown
        assert cards(desk)["gate"]["button"]["title"] == "Dial again"

    def test_a_halt_of_an_operators_lasts_until_one_says_so(self, desk):
        gate.close("<b>Wrong</b> agent", by="ann")

        shown = html(desk)

        assert "Nothing is dialled: &lt;b&gt;Wrong&lt;/b&gt; agent" in shown
        assert "Stopped by ann on" in shown
        assert "No call is tried until an operator lets it go on (Dial again)." in shown
        assert cards(desk)["gate"]["button"]["title"] == "Dial again"

    @pytest.mark.parametrize("is_closed", [False, True])
    def test_who_may_not_change_it_gets_no_buttons(self, is_closed):
        if is_closed:
            gate.close("Wrong agent", by="ann")
        client = signed_in("view_callschedule", "view_gate")

        shown = html(client)

        assert ("Nothing is dialled: Wrong agent" in shown) is is_closed
        assert cards(client)["gate"]["button"] is None
        assert reverse("admin:schedules_gate_stop", args=["calls"]) not in shown


class TestAttention:
    def test_calls_that_need_it_are_counted_and_a_click_away(self, desk):
        stuck = CallLogFactory(status="unknown", attention="2 calls may be this one.")
        CallLogFactory(status="unknown")

        shown = html(desk)

        assert "1 call needs somebody to look at it" in shown
        rows = desk.get(cards(desk)["attention"]["href"]).context["cl"].result_list
        assert [row.pk for row in rows] == [stuck.pk]

    def test_where_none_does_nothing_is_said(self, desk):
        CallLogFactory(status="unknown")

        assert "to look at" not in html(desk)


class TestCalls:
    @pytest.mark.parametrize("status", sorted(ON_THE_LINE))
    def test_under_way_are_live_and_unknown_ones(self, desk, status):
        log = CallLogFactory(schedule__description="Dentist", status=status)
        CallLogFactory(status="completed")

        shown = cards(desk)["in_progress"]

        assert [line.title for line in shown["lines"]] == ["Dentist"]
        assert shown["lines"][0].badge == log.get_status_display()

    def test_under_way_are_counted_where_they_are_too_many_to_show(self, desk):
        CallLogFactory.create_batch(14, status="ringing")

        assert "The latest 10 of 14." in html(desk)

    @pytest.mark.parametrize("status", sorted(UNSUCCESSFUL))
    def test_failures_come_with_their_reasons(self, desk, status):
        CallLogFactory(status=status, error_message="This is why.")

        assert cards(desk)["failures"][0].remark == "This is why."

    def test_todays_are_counted_by_outcome_since_the_schedulers_midnight(
        self, desk, settings, time_machine
    ):
        settings.SCHEDULER_TIMEZONE = settings.TIME_ZONE = "Asia/Kathmandu"
        time_machine.move_to(datetime(2026, 5, 1, 10, tzinfo=UTC), tick=False)
        midnight = datetime(2026, 4, 30, 18, 15, tzinfo=UTC)
        CallLogFactory.create_batch(3, status="completed", timestamp=midnight)
        CallLogFactory(status="busy", timestamp=midnight + timedelta(hours=1))
        CallLogFactory(status="busy", timestamp=midnight - timedelta(seconds=1))

        today = cards(desk)["today"]

        assert (today["total"], today["completed"], today["rate"]) == (4, 3, 75.0)
        assert [(each["label"], each["count"]) for each in today["outcomes"]] == [
            ("completed", 3),
            ("busy", 1),
        ]
        href = today["outcomes"][1]["href"]
        assert len(desk.get(href).context["cl"].result_list) == 1

    def test_of_deleted_schedules_are_named_by_their_log(self, desk):
        log = CallLogFactory(status="ringing")
        CallSchedule.objects.all().delete()

        assert cards(desk)["in_progress"]["lines"][0].title == log.pk

    def test_none_is_said_clearly(self, desk):
        shown = html(desk)

        for words in (
            "No call is armed.",
            "No call is under way.",
            "No call has failed.",
            "No call has been made since midnight UTC.",
        ):
            assert words in shown


class TestPermissions:
    def test_who_may_see_nothing_is_told_so(self):
        client = signed_in()

        assert cards(client) == {}
        assert "There is nothing here that your account may see." in html(client)

    @pytest.mark.parametrize(
        ("permission", "seen"),
        [
            ("view_runner", {"runners"}),
            ("view_gate", {"gate"}),
            ("view_callschedule", {"gate", "due", "overdue"}),
            ("change_callschedule", {"gate", "due", "overdue"}),
            ("view_calllog", {"attention", "in_progress", "today", "failures"}),
            ("view_activeschedule", set()),
        ],
    )
    def test_each_sees_the_cards_of_what_may_be_viewed(self, permission, seen):
        assert set(cards(signed_in(permission))) == seen

    def test_a_schedules_name_is_hidden_from_who_may_only_see_logs(self):
        log = CallLogFactory(schedule__description="Dentist", status="busy")
        CallLogFactory(schedule__description="Dentist", status="ringing")

        shown = html(signed_in("view_calllog"))

        assert log.pk in shown
        assert "Dentist" not in shown

    def test_the_sidebar_shows_the_pages_that_may_be_opened(self):
        shown = html(signed_in("view_calllog"))

        assert reverse("admin:tracking_calllog_changelist") in shown
        assert reverse("admin:schedules_callschedule_changelist") not in shown


def test_asks_the_database_as_often_for_many_rows_as_for_few(desk, django_assert_num_queries):
    def fill(number: int) -> None:
        for _ in range(number):
            armed(timezone.now())
            CallLogFactory(status="ringing")
            CallLogFactory(status="busy")
            Runner.objects.create(host="calls", process_id=1)

    fill(3)
    desk.get(reverse(INDEX))
    with CaptureQueriesContext(connection) as few:
        desk.get(reverse(INDEX))
    fill(15)

    assert len(few) <= 16
    with django_assert_num_queries(len(few)):
        desk.get(reverse(INDEX))


def test_fetches_itself_again_and_again(desk):
    shown = html(desk)

    assert f'hx-get="{reverse(INDEX)}" hx-trigger="every 5s' in shown
    assert 'hx-select="#dashboard-cards"' in shown


def test_a_description_is_text_and_not_markup(desk):
    armed(timezone.now(), description="<script>alert(1)</script>")
    CallLogFactory(status="failed", error_message="<script>alert(1)</script>")

    assert "<script>alert(1)" not in html(desk)
