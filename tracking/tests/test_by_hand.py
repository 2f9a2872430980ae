"""What an operator settles by hand: calls that do not tell by themselves what became of them."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.messages import get_messages
from django.core import mail
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from polaris.errors import IllegalTransition
from polaris.tests.accounts import signed_in
from schedules.models import ActiveSchedule, ActiveScheduleQuerySet, CallSchedule
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking import by_hand
from tracking.models import CallLog
from tracking.notifications import outbox
from tracking.states import LIVE, CallStatus
from tracking.tests.factories import CallLogFactory

pytestmark = pytest.mark.django_db

LIST = "admin:tracking_calllog_changelist"
RETRIES = {"on": ["failed"], "attempts": 3, "delays": [60]}
S = CallSchedule.Status


def unknown(**fields) -> CallLog:
    schedule = CallScheduleFactory(status=S.RUNNING, **fields)
    return CallLogFactory(
        schedule=schedule,
        phone=schedule.phone,
        status=CallStatus.UNKNOWN,
        call_id="",
        attention="2 calls at the carrier may be this one.",
        next_check_at=timezone.now() + timedelta(minutes=5),
    )


def page(log: CallLog, name: str = "change") -> str:
    return reverse(f"admin:tracking_calllog_{name}", args=[quote(log.pk)])


def submit(client: Client, name: str, log: CallLog, **fields: str):
    return client.post(page(log, name), {"_form_submitted": "True"} | fields)


def told(response) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


@pytest.mark.django_db(transaction=True)
class TestWhatWaits:
    """For the end of the call: it is woken when that is committed, and stands in nobody's way."""

    def waiting(self, log: CallLog) -> ActiveSchedule:
        later = timezone.now() + timedelta(hours=1)
        return ActiveScheduleFactory(next_execution=later, waits_on=log.pk)

    def test_is_woken_though_a_conflict_comes_first(self, monkeypatch):
        log = unknown()
        row, find, tried = self.waiting(log), ActiveScheduleQuerySet.waiting_on, []

        def conflict_first(rows, log_id):
            tried.append(log_id)
            if len(tried) == 1:
                raise OperationalError("deadlock detected")
            return find(rows, log_id)

        monkeypatch.setattr(ActiveScheduleQuerySet, "waiting_on", conflict_first)
        monkeypatch.setattr("polaris.repeating.is_conflict", lambda error: True)

        by_hand.settle_as_failed(log, by="ann")

        row.refresh_from_db()
        assert row.next_execution <= timezone.now()
        assert tried == [log.pk] * 2

    def test_does_not_undo_what_is_committed(self, monkeypatch, caplog):
        log = unknown()
        self.waiting(log)

        def fail(*_):
            raise OperationalError("the server has gone")

        monkeypatch.setattr(ActiveScheduleQuerySet, "waiting_on", fail)

        by_hand.settle_as_failed(log, by="ann")

        assert CallLog.objects.get(pk=log.pk).status == CallStatus.FAILED
        assert f"what waits for {log.pk} looks later: the server has gone" in caplog.text


class TestSettleAsFailed:
    def test_closes_the_call_in_the_operators_name_and_its_schedule_with_it(self):
        log = unknown()

        by_hand.settle_as_failed(log, by="ann", reason="It is not in Twilio's list.")

        log.refresh_from_db()
        assert log.status == CallStatus.FAILED
        assert (log.error_code, log.attention, log.next_check_at) == ("by_hand", "", None)
        assert log.error_message == (
            "ann has looked it up and settled it as failed: It is not in Twilio's list."
        )
        assert log.end_time
        log.schedule.refresh_from_db()
        assert (log.schedule.status, log.schedule.status_reason) == (S.FAILED, log.error_message)

    def test_a_series_goes_on_with_what_it_has_armed(self):
        log = unknown(repeat_config={"enabled": True, "frequency": "daily", "interval": 1})
        ActiveScheduleFactory(schedule=log.schedule, occurrence=timezone.now() + timedelta(days=1))

        by_hand.settle_as_failed(log, by="ann")

        log.schedule.refresh_from_db()
        assert log.schedule.status == S.SCHEDULED

    def test_frees_its_number(self):
        log = unknown()

        by_hand.settle_as_failed(log, by="ann")

        CallLogFactory(phone=log.phone, status=CallStatus.QUEUED)  # the index allows it

    def test_wakes_what_waited_for_its_end(self, django_capture_on_commit_callbacks):
        log = unknown()
        later = timezone.now() + timedelta(seconds=15)
        waiting = ActiveScheduleFactory(next_execution=later, waits_on=log.pk)

        with django_capture_on_commit_callbacks(execute=True):
            by_hand.settle_as_failed(log, by="ann")

        waiting.refresh_from_db()
        assert waiting.next_execution <= timezone.now()

    def test_it_is_not_dialled_again_whatever_the_retry_policy_says(self):
        log = unknown(retry_policy=RETRIES)

        by_hand.settle_as_failed(log, by="ann")

        assert not log.schedule.armed.exists()

    def test_is_told_as_a_call_that_failed(self, settings):
        settings.NOTIFY_EMAIL_TO = ["desk@example.org"]
        log = unknown()

        by_hand.settle_as_failed(log, by="ann", reason="Nobody was called.")
        outbox.deliver_due()

        assert any("Nobody was called." in message.body for message in mail.outbox)

    def test_the_log_of_a_deleted_schedule_is_closed_too(self):
        log = unknown()
        CallSchedule.objects.all().delete()

        by_hand.settle_as_failed(CallLog.objects.get(), by="ann")

        log.refresh_from_db()
        assert log.status == CallStatus.FAILED

    @pytest.mark.parametrize("status", sorted(set(CallStatus) - {CallStatus.UNKNOWN}))
    def test_only_an_unknown_call_is_settled_by_hand(self, status):
        log = unknown()
        CallLog.objects.update(status=status)

        with pytest.raises(IllegalTransition):
            by_hand.settle_as_failed(log, by="ann")

        log.refresh_from_db()
        assert log.status == status


class TestAskNow:
    @pytest.mark.parametrize("status", sorted(LIVE | {CallStatus.UNKNOWN}))
    def test_the_next_runner_looks_at_it(self, status):
        log = unknown()
        CallLog.objects.update(status=status)

        by_hand.ask_now(log)

        log.refresh_from_db()
        assert log.next_check_at <= timezone.now()

    @pytest.mark.parametrize(
        "status", sorted(set(CallStatus) - LIVE - {CallStatus.UNKNOWN, CallStatus.MISSED})
    )
    def test_a_call_that_the_carrier_does_not_have_is_refused(self, status):
        log = unknown()
        CallLog.objects.update(status=status)

        with pytest.raises(IllegalTransition):
            by_hand.ask_now(log)


class TestInTheAdmin:
    def test_the_page_says_what_to_look_at_and_what_comes_next(self, desk, time_machine):
        time_machine.move_to(timezone.now(), tick=False)
        log = unknown()
        CallLog.objects.update(
            stop="hang_up",
            occurrence=timezone.now(),
            due_at=timezone.now() + timedelta(minutes=1),
        )

        html = desk.get(page(log)).content.decode()

        for words in (
            "Look at it: 2 calls at the carrier may be this one.",
            "end it whatever its state",
            "It is not wanted any more: the carrier ends it, answered or not.",
            "This attempt was due on",
            "in 5 min",
        ):
            assert words in html

    def test_those_that_need_attention_are_filtered(self, desk):
        stuck = unknown()
        CallLogFactory(status="unknown")

        response = desk.get(f"{reverse(LIST)}?attention=needed")

        assert [row.pk for row in response.context["cl"].result_list] == [stuck.pk]
        assert "2 calls at the carrier may be this one." in response.content.decode()

    def test_the_dialog_asks_what_was_found_and_settles(self, desk):
        log = unknown()

        asked = desk.get(page(log, "settle_as_failed")).content.decode()
        response = submit(desk, "settle_as_failed", log, reason="Not in the list.")

        assert 'name="reason"' in asked
        assert response.url == page(log)
        assert f"Settled as failed 1 call log: {log.pk}." in told(response)
        log.refresh_from_db()
        assert log.error_message.startswith("operator has looked it up")
        entry = LogEntry.objects.get()
        assert entry.change_message == "Settle as failed; What was found: Not in the list."

    def test_many_are_settled_from_the_list_and_the_others_passed_over(self, desk):
        log, talking = unknown(), CallLogFactory(status="in_progress")
        data = {
            "action": "settle_as_failed_selected",
            "_selected_action": [log.pk, talking.pk],
            "reason": "Twilio was down.",
        }

        asked = desk.post(reverse(LIST), data)
        response = desk.post(reverse(LIST), data | {"confirm": "yes"})

        assert "Yes, settle as failed" in asked.content.decode()
        assert "Settled as failed 1 call log" in told(response)
        assert "Passed over 1" in told(response)
        log.refresh_from_db()
        assert log.status == CallStatus.FAILED
        assert "Twilio was down." in log.error_message

    def test_the_carrier_is_asked_from_the_page(self, desk):
        log = unknown()

        submit(desk, "ask_now", log)

        log.refresh_from_db()
        assert log.next_check_at <= timezone.now()

    @pytest.mark.parametrize(
        ("status", "offered"),
        [
            ("unknown", ["Settle as failed", "Ask the carrier now"]),
            ("ringing", ["Ask the carrier now"]),
            ("pending", []),
            ("deferred", []),
            ("completed", []),
        ],
    )
    def test_is_offered_what_makes_sense(self, desk, status, offered):
        log = CallLogFactory(status=status)

        buttons = desk.get(page(log)).context["actions_detail"]

        assert [button["title"] for button in buttons] == [*offered, "Reveal the number"]

    @pytest.mark.parametrize("name", ["settle_as_failed", "ask_now"])
    def test_who_may_only_view_is_refused(self, name):
        client = signed_in("view_calllog")
        log = unknown()
        data = {"action": f"{name}_selected", "_selected_action": log.pk, "confirm": "yes"}

        assert submit(client, name, log).status_code == 403
        assert client.post(reverse(LIST), data).status_code == 403
        assert client.get(page(log)).context["actions_detail"] == []
        log.refresh_from_db()
        assert log.status == CallStatus.UNKNOWN

    @pytest.mark.parametrize("name", ["settle_as_failed", "ask_now"])
    @pytest.mark.parametrize("method", ["get", "head", "post"])
    def test_without_a_submitted_dialog_nothing_happens(self, desk, name, method):
        log = unknown()
        before = CallLog.objects.values().get()

        assert getattr(desk, method)(page(log, name)).status_code == 200

        assert CallLog.objects.values().get() == before
        assert not LogEntry.objects.exists()
