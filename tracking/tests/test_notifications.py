"""Notifications: what the outbox keeps, how it delivers, and what the channels send."""

import json
import re
import smtplib
import sys
import threading
import types
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import responses
import time_machine
from django.conf import settings as django_settings
from django.core import mail
from django.core.checks import run_checks
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from polaris.database import atomic
from polaris.events import CALL_EVENTS, EVENTS, SCHEDULE_EVENTS, publish
from schedules import gate, services
from schedules.models import CallSchedule
from schedules.tests.factories import CallScheduleFactory
from tracking.announcing import announce_call
from tracking.models import Notification
from tracking.notifications import outbox
from tracking.notifications.channels import Channel, DeliveryFailed, WebhookChannel
from tracking.notifications.retries import ATTEMPTS, JITTER, LONGEST_WAIT, WAITS, wait_after
from tracking.notifications.signing import is_signing_secret
from tracking.tests.factories import CallLogFactory, NotificationFactory

Status = Notification.Status

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
DOCS = Path(django_settings.BASE_DIR) / "docs" / "notifications.md"


class RecordingChannel(Channel):
    """Remembers what it delivered, after doing what the test wants done first."""

    name = "recording"
    delivered: ClassVar[list[str]] = []
    before: ClassVar[Callable[[Notification], object]]

    def is_configured(self) -> bool:
        return True

    def deliver(self, notification: Notification) -> None:
        type(self).before(notification)
        self.delivered.append(notification.event_id)


class IdleChannel(RecordingChannel):
    """One that nobody has configured."""

    name = "idle"

    def is_configured(self) -> bool:
        return False


class BrokenChannel(RecordingChannel):
    """One that cannot even say whether it is configured."""

    name = "broken"

    def is_configured(self) -> bool:
        raise RuntimeError("this channel is broken")


@pytest.fixture
def use(settings) -> Iterator[Callable[..., None]]:
    """Makes these the channels; `before` happens at every delivery of theirs."""

    def use(*channels: type[Channel], before: Callable[..., object] = lambda _: None) -> None:
        settings.NOTIFY_EVENTS = ["*"]
        settings.NOTIFICATION_CHANNELS = [f"{one.__module__}.{one.__name__}" for one in channels]
        RecordingChannel.before = staticmethod(before)

    RecordingChannel.delivered.clear()
    yield use
    RecordingChannel.delivered.clear()


@pytest.fixture
def mailing(settings) -> None:
    """E-mail to the desk is the one channel in use, for every event."""
    settings.NOTIFY_EVENTS = ["*"]
    settings.NOTIFY_EMAIL_TO = ["desk@example.org"]


class Receiver(ThreadingHTTPServer):
    """A real server that keeps what it is sent and answers from a list, then with 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Reception)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Reception(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, dict(self.headers), body))
        status, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    """A listening receiver, to which every event is posted."""
    with Receiver() as server:
        settings.NOTIFY_EVENTS = ["*"]
        settings.NOTIFY_WEBHOOK_URL = server.url
        settings.NOTIFY_WEBHOOK_SECRET = SECRET
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fail(reason: str = "Nobody is there.", **how: object) -> Callable[[Notification], object]:
    def refuse(notification: Notification) -> None:
        raise DeliveryFailed(reason, **how)

    return refuse


def everything_due() -> None:
    """Let no message wait any longer."""
    Notification.objects.update(next_attempt_at=timezone.now())


class SetbackError(Exception):
    """What makes a change fail after it has been announced."""


# -- what is written -------------------------------------------------------------------------------


def test_an_event_is_written_down_once_for_each_configured_channel(db, mailing, settings):
    settings.NOTIFY_WEBHOOK_URL = "https://desk.example.org/hook"

    event = publish("call.failed", log_id="log_1")

    messages = Notification.objects.order_by("channel")
    assert [message.channel for message in messages] == ["email", "webhook"]
    for message in messages:
        assert message.event == "call.failed"
        assert message.event_id == event.id
        assert message.payload == {"log_id": "log_1"}
        assert message.created_at == event.happened_at
        assert message.status == Status.WAITING
        assert message.next_attempt_at <= timezone.now()


def test_nothing_is_written_where_no_channel_is_configured(db, settings):
    settings.NOTIFY_EVENTS = ["*"]

    publish("call.failed")

    assert not Notification.objects.exists()


def test_a_channel_without_a_receiver_gets_no_message(db, use):
    use(IdleChannel, RecordingChannel)

    publish("call.failed")

    assert [message.channel for message in Notification.objects.all()] == ["recording"]


@pytest.mark.parametrize(
    ("patterns", "told"),
    [
        (["call.failed"], {"call.failed"}),
        (["call.*"], {name for name in EVENTS if name.startswith("call.")}),
        (["*.failed", "call.missed"], {"call.failed", "schedule.failed", "call.missed"}),
        (["*"], EVENTS),
        ([], set()),
    ],
)
def test_only_the_events_that_are_asked_for_are_told(db, mailing, settings, patterns, told):
    settings.NOTIFY_EVENTS = patterns

    for name in EVENTS:
        publish(name)

    assert Counter(message.event for message in Notification.objects.all()) == Counter(told)


@pytest.mark.django_db(transaction=True)
def test_a_message_is_in_the_outbox_as_soon_as_the_change_is_committed(mailing):
    schedule = CallScheduleFactory()

    services.pause(schedule)

    assert Notification.objects.get().event == "schedule.paused"
    assert mail.outbox == []


@pytest.mark.django_db(transaction=True)
def test_a_message_is_rolled_back_with_the_change_that_it_tells_of(mailing):
    schedule = CallScheduleFactory()

    def pause_and_fail() -> None:
        with atomic():
            services.pause(schedule)
            raise SetbackError

    with pytest.raises(SetbackError):
        pause_and_fail()

    schedule.refresh_from_db()
    assert schedule.status == CallSchedule.Status.SCHEDULED
    assert not Notification.objects.exists()


def test_a_broken_channel_does_not_harm_the_change(db, use, caplog):
    use(BrokenChannel)
    schedule = CallScheduleFactory()

    services.pause(schedule)

    schedule.refresh_from_db()
    assert schedule.status == CallSchedule.Status.PAUSED
    assert "no message could be written of schedule.paused" in caplog.text


@pytest.mark.sql("MongoDB has no savepoints: a write that is refused undoes its transaction")
def test_a_message_that_the_database_refuses_does_not_harm_the_change(db, use, caplog):
    use(RecordingChannel)
    schedule = CallScheduleFactory()

    with atomic():
        event = publish("call.failed")
        outbox.write_down(event)  # the same event again: the unique constraint refuses it
        services.pause(schedule)

    schedule.refresh_from_db()
    assert schedule.status == CallSchedule.Status.PAUSED
    assert Notification.objects.filter(event_id=event.id).count() == 1
    assert "no message could be written" in caplog.text


# -- delivery --------------------------------------------------------------------------------------


def test_a_message_is_delivered_and_not_delivered_again(db, use):
    use(RecordingChannel)
    event = publish("call.failed")

    assert outbox.deliver_due() == 1
    assert outbox.deliver_due() == 0

    message = Notification.objects.get()
    assert RecordingChannel.delivered == [event.id]
    assert message.status == Status.SENT
    assert message.attempts == 1
    assert message.next_attempt_at is None
    assert message.sent_at is not None
    assert message.last_error == ""


def test_no_transaction_is_open_while_a_message_is_delivered(transactional_db, use):
    open_ones = []
    use(RecordingChannel, before=lambda _: open_ones.append(connection.in_atomic_block))
    publish("call.failed")

    outbox.deliver_due()

    assert open_ones == [False]


def test_messages_go_out_in_the_order_of_their_time(db, use):
    use(RecordingChannel)
    now = timezone.now()
    for event_id, age in (("b", 2), ("c", 1), ("a", 3)):
        due = now - timedelta(minutes=age)
        NotificationFactory(channel="recording", event_id=event_id, next_attempt_at=due)

    outbox.deliver_due()

    assert RecordingChannel.delivered == ["a", "b", "c"]


@pytest.mark.django_db(transaction=True)
def test_two_threads_that_deliver_at_once_deliver_each_message_once(use, monkeypatch):
    monkeypatch.setattr(outbox, "TURN_SECONDS", 60)
    both_here = threading.Barrier(2, timeout=10)
    met = set()

    def meet(_: Notification) -> None:
        # Each thread has read the same messages before either has delivered its first.
        if threading.get_ident() not in met:
            met.add(threading.get_ident())
            both_here.wait()

    use(RecordingChannel, before=meet)
    for number in range(20):
        NotificationFactory(channel="recording", event_id=f"event_{number}")
    counts = []

    def deliver() -> None:
        try:
            counts.append(outbox.deliver_due())
        finally:
            connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(RecordingChannel.delivered) == sorted(f"event_{n}" for n in range(20))
    assert sum(counts) == 20
    assert set(Notification.objects.values_list("status", "attempts")) == {(Status.SENT, 1)}


@pytest.mark.django_db(transaction=True)
def test_a_message_that_another_runner_has_claimed_meanwhile_is_left_to_it(use):
    first = NotificationFactory(channel="recording", event_id="first")
    second = NotificationFactory(channel="recording", event_id="second")
    leased_until = timezone.now() + outbox.LEASE

    def claim_the_second(_: Notification) -> None:
        Notification.objects.filter(pk=second.pk).update(next_attempt_at=leased_until)

    use(RecordingChannel, before=claim_the_second)

    assert outbox.deliver_due() == 1

    second.refresh_from_db()
    assert RecordingChannel.delivered == [first.event_id]
    assert (second.status, second.attempts) == (Status.WAITING, 0)


def test_a_message_that_a_dead_runner_held_is_delivered_when_its_lease_ends(db, use):
    def die(_: Notification) -> None:
        raise SystemExit

    use(RecordingChannel, before=die)
    with time_machine.travel(NOON, tick=False) as clock:
        publish("call.failed")
        with pytest.raises(SystemExit):
            outbox.deliver_due()

        use(RecordingChannel)
        assert outbox.deliver_due() == 0
        clock.shift(outbox.LEASE + timedelta(seconds=1))
        assert outbox.deliver_due() == 1

    assert Notification.objects.get().attempts == 2


def test_a_failed_delivery_is_tried_again_after_growing_waits(db, use):
    use(RecordingChannel, before=fail())
    waits = []
    with time_machine.travel(NOON, tick=False) as clock:
        publish("call.failed")
        message = Notification.objects.get()
        for _ in range(ATTEMPTS - 1):
            outbox.deliver_due()
            message.refresh_from_db()
            waits.append(message.next_attempt_at - timezone.now())
            clock.move_to(message.next_attempt_at - timedelta(seconds=1))
            assert outbox.deliver_due() == 0
            clock.move_to(message.next_attempt_at)

    assert message.status == Status.WAITING
    assert message.last_error == "Nobody is there."
    assert waits == sorted(waits)
    for wait, nominal in zip(waits, WAITS, strict=True):
        assert nominal * (1 - JITTER) <= wait <= nominal * (1 + JITTER)


def test_a_message_is_given_up_after_the_last_attempt(db, use):
    use(RecordingChannel, before=fail())
    publish("call.failed")

    for _ in range(ATTEMPTS + 3):
        outbox.deliver_due()
        Notification.objects.filter(status=Status.WAITING).update(next_attempt_at=timezone.now())

    message = Notification.objects.get()
    assert message.status == Status.FAILED
    assert message.attempts == ATTEMPTS == 8
    assert message.next_attempt_at is None
    assert message.last_error == "Nobody is there."


def test_the_attempts_last_about_a_day():
    assert timedelta(hours=22) < sum(WAITS, timedelta()) < timedelta(hours=26)


def test_a_permanent_failure_is_not_tried_again(db, use):
    use(RecordingChannel, before=fail("It is gone.", permanent=True))
    publish("call.failed")

    outbox.deliver_due()

    message = Notification.objects.get()
    assert (message.status, message.attempts) == (Status.FAILED, 1)
    assert message.last_error == "It is gone."


@pytest.mark.parametrize(
    ("asked_for", "shortest", "longest"),
    [
        (None, timedelta(seconds=9), timedelta(seconds=11)),
        (timedelta(seconds=-5), timedelta(seconds=9), timedelta(seconds=11)),
        (timedelta(seconds=1), timedelta(seconds=9), timedelta(seconds=11)),
        (timedelta(minutes=7), timedelta(minutes=7), timedelta(minutes=7)),
        (timedelta(days=900), LONGEST_WAIT, LONGEST_WAIT),
    ],
)
def test_a_receiver_may_ask_for_a_longer_wait_within_reason(asked_for, shortest, longest):
    assert shortest <= wait_after(1, asked_for=asked_for) <= longest


def test_a_channel_that_breaks_down_is_tried_again_and_its_error_is_not_quoted(db, use, caplog):
    said = "whsec_secret of +15005550006"

    def break_down(_: Notification) -> None:
        raise ValueError(said)

    use(RecordingChannel, before=break_down)
    publish("call.failed")

    outbox.deliver_due()

    message = Notification.objects.get()
    assert message.status == Status.WAITING
    assert message.last_error == "The channel broke down (ValueError); the log says where."
    assert "break_down" in caplog.text
    assert "whsec_secret" not in caplog.text
    assert "+15005550006" not in caplog.text


def test_a_channel_in_trouble_is_asked_once_a_turn_and_holds_up_no_other(db, use, mailing):
    asked = []
    use(RecordingChannel, before=lambda message: (asked.append(message.pk), fail()(message)))
    django_settings.NOTIFICATION_CHANNELS.append("tracking.notifications.channels.EmailChannel")
    for _ in range(3):
        publish("call.failed")

    outbox.deliver_due()

    assert len(asked) == 1
    assert len(mail.outbox) == 3


def test_a_call_delivers_no_more_than_a_batch(db, use, monkeypatch):
    monkeypatch.setattr(outbox, "BATCH", 3)
    use(RecordingChannel)
    for _ in range(5):
        publish("call.failed")

    assert [outbox.deliver_due() for _ in range(3)] == [3, 2, 0]


def test_a_slow_channel_hands_over_when_its_time_is_up(db, use, monkeypatch):
    monkeypatch.setattr(outbox, "TURN_SECONDS", 0)
    use(RecordingChannel)
    for _ in range(2):
        publish("call.failed")

    assert outbox.deliver_due() == 1


def test_a_delivery_that_outlasted_its_lease_still_counts_as_sent(db, use):
    def outlast(message: Notification) -> None:
        later = timezone.now() + timedelta(hours=1)
        Notification.objects.filter(pk=message.pk).update(next_attempt_at=later)

    use(RecordingChannel, before=outlast)
    publish("call.failed")

    outbox.deliver_due()

    assert Notification.objects.get().status == Status.SENT


def test_a_failure_after_the_lease_leaves_the_message_to_who_took_over(db, use):
    later = timezone.now() + timedelta(hours=1)

    def outlast_and_fail(message: Notification) -> None:
        Notification.objects.filter(pk=message.pk).update(next_attempt_at=later)
        raise DeliveryFailed("Too late.")

    use(RecordingChannel, before=outlast_and_fail)
    publish("call.failed")

    outbox.deliver_due()

    message = Notification.objects.get()
    assert message.next_attempt_at == later
    assert message.last_error == ""


def test_a_message_waits_a_day_for_its_channel_and_is_then_given_up(db, use):
    use(IdleChannel)
    message = NotificationFactory(channel="idle", next_attempt_at=NOON)

    with time_machine.travel(NOON + timedelta(hours=23), tick=False) as clock:
        outbox.deliver_due()
        message.refresh_from_db()
        assert message.status == Status.WAITING
        clock.shift(timedelta(hours=2))
        outbox.deliver_due()

    message.refresh_from_db()
    assert message.status == Status.FAILED
    assert message.last_error == "Its channel is not configured."


def test_resending_lets_failed_messages_wait_again_and_leaves_the_others(db, use):
    use(RecordingChannel)
    failed = NotificationFactory(
        channel="recording",
        status=Status.FAILED,
        attempts=ATTEMPTS,
        next_attempt_at=None,
        last_error="Nobody is there.",
    )
    NotificationFactory(channel="recording", status=Status.SENT, next_attempt_at=None)

    assert outbox.resend(Notification.objects.all()) == 1

    failed.refresh_from_db()
    assert (failed.status, failed.attempts, failed.last_error) == (Status.WAITING, 0, "")
    assert outbox.deliver_due() == 1
    assert RecordingChannel.delivered == [failed.event_id]


# -- e-mail ----------------------------------------------------------------------------------------


class RefusingBackend(BaseEmailBackend):
    """A mail server that quotes the receiver in its refusal."""

    error: ClassVar[Exception]

    def send_messages(self, email_messages: object) -> int:
        raise self.error


def test_a_mail_tells_in_words_of_a_call_that_failed(db, mailing):
    log = CallLogFactory(
        status="no_answer", error_message="Nobody answered.", attempt=2, phone="+15005550006"
    )
    announce_call("call.failed", log)

    outbox.deliver_due()

    [message] = mail.outbox
    assert message.to == ["desk@example.org"]
    assert "Call failed" in message.subject
    assert "+1••••••0006" in message.subject
    assert "The call to +1••••••0006 failed." in message.body
    assert "Why: Nobody answered." in message.body
    assert "Attempt: 2" in message.body
    assert f"Call log: {log.pk}" in message.body
    assert f"Schedule: {log.schedule_id}" in message.body
    assert "+15005550006" not in message.subject + message.body


@pytest.mark.parametrize(
    ("data", "subject"),
    [
        (
            {"description": "Follow-up call", "phone": "+1••••••0006"},
            "Call failed: Follow-up call (+1••••••0006)",
        ),
        ({"phone": "+1••••••0006"}, "Call failed: +1••••••0006"),
        ({"description": "Follow-up call"}, "Call failed: Follow-up call"),
        ({}, "Call failed"),
        ({"description": "Tom & <Jerry>"}, "Call failed: Tom & <Jerry>"),
    ],
)
def test_the_subject_says_what_happened_to_which_call(db, mailing, data, subject):
    publish("call.failed", **data)

    outbox.deliver_due()

    assert mail.outbox[0].subject == subject


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\u2028", "\x0b", "\x85"])
def test_a_line_break_in_a_description_adds_no_header(db, mailing, break_):
    publish("call.failed", description=f"Hello{break_}Bcc: everybody@example.org")

    outbox.deliver_due()

    message = mail.outbox[0].message()
    assert message["Bcc"] is None
    assert mail.outbox[0].subject == "Call failed: Hello Bcc: everybody@example.org"


def test_an_endless_description_is_cut_in_the_subject(db, mailing):
    publish("call.failed", description="x" * 10_000)

    outbox.deliver_due()

    assert len(mail.outbox[0].subject) == 150


@pytest.mark.parametrize(
    ("name", "first_line"),
    [
        ("runner.missing", "No runner runs: nothing is dialled until one is started"),
        ("runner.back", "A runner runs again"),
        ("runner.blocked", "No runner can dial: the broker takes nothing."),
        ("runner.unblocked", "A runner can dial again"),
        ("worker.missing", "No worker runs: what runners claim is dialled by nobody until one"),
        ("worker.back", "A worker runs again"),
    ],
)
def test_an_alarm_about_the_runners_says_since_when_and_what_to_do(db, mailing, name, first_line):
    moment = "2030-01-01T10:00:00Z"
    told = {"since": moment, "reason": "the broker takes nothing"}
    publish(name, **told, next_execution="2030-01-01T11:00:00Z", waiting=2)

    outbox.deliver_due()

    body = mail.outbox[0].body
    assert body.startswith(first_line)
    assert "1 January 2030, 10:00:00 UTC" in body
    assert "1 January 2030, 11:00:00 UTC" in body
    assert "Calls that are due and not dialled: 2" in body


@pytest.mark.parametrize("name", sorted(SCHEDULE_EVENTS | CALL_EVENTS))
def test_every_event_of_a_call_or_schedule_has_words_of_its_own(db, mailing, name):
    data = {"phone": "+1••••••0006", "description": "Follow-up call", "reason": "", "duration": 1}
    publish(name, **data, scheduled_time="2030-01-01T10:00:00Z", occurrence="2030-01-01T10:00:00Z")

    outbox.deliver_due()

    body = mail.outbox[0].body
    first_line, _, rest = body.partition("\n")
    assert first_line.endswith(".")
    assert "+1••••••0006" in first_line
    assert "What: Follow-up call" in rest
    assert "1 January 2030, 10:00:00 UTC" in rest
    assert f"Event: {name}, " in rest
    assert "\n\n\n" not in body
    assert "None" not in body


def test_a_mail_tells_why_a_call_needs_somebody_to_look_at_it(db, mailing):
    log = CallLogFactory(status="unknown", attention="2 calls at the carrier may be this one.")
    announce_call("call.stuck", log)

    outbox.deliver_due()

    assert "Look at it: 2 calls at the carrier may be this one." in mail.outbox[0].body


def test_mails_tell_when_and_why_the_carriers_refusal_stops_and_resumes_dialling(db, mailing):
    with time_machine.travel("2030-01-01T10:00:00Z", tick=False) as clock:
        gate.close("Twilio 20003: Authenticate")
        clock.shift(60)
        gate.reopen()
        outbox.deliver_due()

    closed, opened = mail.outbox
    assert closed.subject == "Dialling paused"
    assert closed.body.startswith("All dialling has stopped: the carrier refuses our calls")
    assert "Why: Twilio 20003: Authenticate" in closed.body
    assert "Since: 1 January 2030, 10:00:00 UTC" in closed.body
    assert opened.body.startswith("Dialling goes on: the carrier takes our calls again.")


def test_mails_tell_which_operator_stops_and_resumes_dialling(db, mailing):
    gate.close("Wrong agent", by="ann")
    outbox.deliver_due()
    gate.reopen(by="ben")
    outbox.deliver_due()

    closed, opened = mail.outbox
    assert "ann has stopped it, and it goes on when an operator says so." in closed.body
    assert "Dialling goes on: ben has resumed it." in opened.body


def test_no_two_events_share_their_words(db, mailing):
    for name in EVENTS:
        publish(name)

    outbox.deliver_due()

    assert len({message.body.partition("\n")[0] for message in mail.outbox}) == len(EVENTS)


def test_moments_are_told_in_the_operators_zone(db, mailing):
    publish("call.missed", occurrence="2030-07-01T10:00:00Z")

    with timezone.override("Europe/Berlin"):
        outbox.deliver_due()

    assert "Due: 1 July 2030, 12:00:00 CEST" in mail.outbox[0].body


def test_a_mail_keeps_its_message_id_at_every_attempt(db, mailing, settings):
    settings.DEFAULT_FROM_EMAIL = "Polaris <polaris@calls.example.org>"
    event = publish("call.failed")
    outbox.deliver_due()
    Notification.objects.update(status=Status.FAILED)
    outbox.resend(Notification.objects.all())

    outbox.deliver_due()

    ids = [sent.message()["Message-ID"] for sent in mail.outbox]
    assert ids == [f"<{event.id}@calls.example.org>"] * 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            smtplib.SMTPAuthenticationError(535, b"whsec_secret is wrong"),
            "The mail server refused the mail with 535.",
        ),
        (
            smtplib.SMTPRecipientsRefused({"desk@example.org": (550, b"+15005550006")}),
            "The mail server did not take the mail (SMTPRecipientsRefused).",
        ),
        (TimeoutError("timed out"), "The mail server did not answer in time."),
        (
            ConnectionRefusedError("mail.example.org"),
            "The mail server did not take the mail (ConnectionRefusedError).",
        ),
    ],
)
def test_a_mail_that_the_server_refuses_waits_and_the_server_is_not_quoted(
    db, mailing, settings, error, told
):
    settings.EMAIL_BACKEND = f"{__name__}.RefusingBackend"
    RefusingBackend.error = error
    publish("call.failed")

    outbox.deliver_due()

    message = Notification.objects.get()
    assert message.status == Status.WAITING
    assert message.last_error == told


# -- webhook ---------------------------------------------------------------------------------------


def test_a_webhook_is_posted_so_that_its_receiver_can_verify_it(db, receiver):
    event = publish("call.failed", log_id="log_1", phone="+1••••••0006")

    outbox.deliver_due()

    [(path, headers, body)] = receiver.requests
    assert path == "/hook"
    assert headers["Content-Type"] == "application/json"
    assert headers["webhook-id"] == event.id
    verified = Webhook(SECRET).verify(body, headers)
    assert verified == {
        "type": "call.failed",
        "timestamp": event.happened_at.isoformat().replace("+00:00", "Z"),
        "data": {"log_id": "log_1", "phone": "+1••••••0006"},
    }
    assert Notification.objects.get().status == Status.SENT


def test_a_receiver_with_another_secret_does_not_believe_it(db, receiver):
    publish("call.failed")

    outbox.deliver_due()

    [(_, headers, body)] = receiver.requests
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 32).verify(body, headers)


def test_a_webhook_that_meets_a_500_is_posted_again_with_the_same_id_and_a_new_time(db, receiver):
    receiver.answers = [(500, {})]
    with time_machine.travel(NOON, tick=False) as clock:
        publish("call.failed")
        assert outbox.deliver_due() == 0
        assert Notification.objects.get().last_error == "The receiver answered 500."
        clock.shift(timedelta(seconds=12))
        assert outbox.deliver_due() == 1

    (_, first, first_body), (_, second, second_body) = receiver.requests
    assert first["webhook-id"] == second["webhook-id"]
    assert first_body == second_body
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 12
    assert first["webhook-signature"] != second["webhook-signature"]
    assert (Notification.objects.get().status, Notification.objects.get().attempts) == ("sent", 2)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(db, receiver, status):
    receiver.answers = [(status, {"Location": f"{receiver.url}/elsewhere"})]
    publish("call.failed")

    outbox.deliver_due()

    message = Notification.objects.get()
    assert [path for path, _, _ in receiver.requests] == ["/hook"]
    assert message.status == Status.WAITING
    assert message.last_error == f"The receiver answered {status}; redirects are not followed."


@pytest.mark.parametrize(
    ("status", "left"),
    [
        (200, Status.SENT),
        (201, Status.SENT),
        (204, Status.SENT),
        (400, Status.WAITING),
        (401, Status.WAITING),
        (404, Status.WAITING),
        (408, Status.WAITING),
        (410, Status.FAILED),
        (425, Status.WAITING),
        (429, Status.WAITING),
        (502, Status.WAITING),
        (504, Status.WAITING),
    ],
)
def test_only_2xx_is_a_success_and_only_410_is_for_ever(db, receiver, status, left):
    receiver.answers = [(status, {})]
    publish("call.failed")

    outbox.deliver_due()

    assert Notification.objects.get().status == left


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [
        ("600", 600),
        ("Tue, 01 Jan 2030 12:20:00 GMT", 1200),
        ("99999999", LONGEST_WAIT.total_seconds()),
    ],
)
def test_a_busy_receiver_is_left_alone_for_as_long_as_it_asks(db, receiver, retry_after, seconds):
    receiver.answers = [(429, {"Retry-After": retry_after})]
    with time_machine.travel(NOON, tick=False):
        publish("call.failed")
        outbox.deliver_due()

    assert Notification.objects.get().next_attempt_at == NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "retry_after", ["soon", "", "-5", "9" * 40, "Tue, 01 Jan 2030 12:20:00 -0000", "²"]
)
def test_a_retry_after_that_cannot_be_read_changes_nothing(db, receiver, retry_after):
    receiver.answers = [(503, {"Retry-After": retry_after})]
    with time_machine.travel(NOON, tick=False):
        publish("call.failed")
        outbox.deliver_due()

    assert Notification.objects.get().next_attempt_at < NOON + timedelta(seconds=12)


def test_a_receiver_that_is_not_there_is_tried_again(db, receiver, settings):
    settings.NOTIFY_WEBHOOK_URL = "http://127.0.0.1:9/hook?token=a-secret"
    publish("call.failed")

    outbox.deliver_due()

    message = Notification.objects.get()
    assert message.status == Status.WAITING
    assert message.last_error == "The receiver could not be reached, or hung up."


@pytest.mark.django_db(transaction=True)
def test_a_receiver_that_does_not_answer_is_not_waited_for_for_long(receiver, monkeypatch):
    asleep = threading.Event()
    monkeypatch.setattr(WebhookChannel, "limits", (1, 0.1))
    monkeypatch.setattr(_Reception, "do_POST", lambda reception: asleep.wait(10))
    publish("call.failed")

    outbox.deliver_due()
    asleep.set()

    message = Notification.objects.get()
    assert message.status == Status.WAITING
    assert message.last_error == "The receiver did not answer in time."


# -- settings --------------------------------------------------------------------------------------


def complaints() -> list[str]:
    return [message.msg for message in run_checks() if message.id.startswith("notifications.")]


@pytest.mark.parametrize(
    ("secret", "is_sound"),
    [
        (SECRET, True),
        (SECRET.removeprefix("whsec_"), True),
        ("whsec_" + "A" * 86, True),
        ("", False),
        ("whsec_", False),
        ("whsec_c2hvcnQ=", False),
        ("whsec_" + "A" * 100, False),
        ("a sentence that is not base64 at all!!", False),
        (SECRET.replace("8", "-"), False),
        (SECRET + "é", False),
    ],
)
def test_a_secret_is_24_to_64_bytes_in_base64(secret, is_sound):
    assert is_signing_secret(secret) is is_sound


@pytest.mark.parametrize("secret", ["", "a secret of the wrong kind"])
def test_a_webhook_without_a_sound_secret_stops_the_start(settings, secret):
    settings.NOTIFY_WEBHOOK_URL = "https://desk.example.org/hook"
    settings.NOTIFY_WEBHOOK_SECRET = secret

    [complaint] = complaints()

    assert "NOTIFY_WEBHOOK_SECRET must be whsec_" in complaint
    assert "wrong kind" not in complaint


def test_a_secret_without_a_webhook_is_nobodys_business(settings):
    settings.NOTIFY_WEBHOOK_SECRET = "a secret of the wrong kind"

    assert complaints() == []


def test_a_sound_configuration_stops_nothing(settings, receiver, mailing):
    assert complaints() == []


def test_a_misspelt_event_stops_the_start(settings):
    settings.NOTIFY_EVENTS = ["call.failed", "call.faild"]

    [complaint] = complaints()

    assert "'call.faild', which matches no event" in complaint


@pytest.mark.parametrize(
    ("paths", "problem"),
    [
        (["tracking.notifications.channels.Pigeon"], "cannot be imported"),
        (["pigeons.Pigeon"], "cannot be imported"),
        (["tracking.models.Notification"], "is not a Channel"),
        (["tracking.notifications.channels.Channel"], "needs a name of 1 to 32 characters"),
        ([f"{__name__}.RecordingChannel"] * 2, "is not the only one named 'recording'"),
    ],
)
def test_a_channel_that_cannot_work_stops_the_start(settings, paths, problem):
    settings.NOTIFICATION_CHANNELS = paths

    [complaint] = complaints()

    assert problem in complaint


# -- the guide -------------------------------------------------------------------------------------


def from_the_guide(word: str) -> str:
    """The example in docs/notifications.md that holds `word`."""
    examples = re.findall(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    [example] = [example for example in examples if word in example]
    return example


@responses.activate
def test_the_guides_channel_of_its_own_delivers(db, settings, monkeypatch):
    module = types.ModuleType("chat")
    exec(from_the_guide("class ChatChannel"), module.__dict__)  # noqa: S102 (our own guide)
    monkeypatch.setitem(sys.modules, "chat", module)
    given = {"env": types.SimpleNamespace(url=lambda name: "https://chat.example.org/room")}
    exec(from_the_guide("NOTIFICATION_CHANNELS"), given)  # noqa: S102
    settings.NOTIFY_EVENTS = ["call.*"]
    settings.NOTIFICATION_CHANNELS = given["NOTIFICATION_CHANNELS"]
    settings.CHAT_URL = given["CHAT_URL"]
    responses.post("https://chat.example.org/room", status=500)
    responses.post("https://chat.example.org/room", status=200)
    publish("call.failed", description="Follow-up call", phone="+1••••••0006")

    assert complaints() == []
    assert outbox.deliver_due() == 0
    assert Notification.objects.get().last_error == "The chat answered 500."
    everything_due()
    assert outbox.deliver_due() == 1

    said = json.loads(responses.calls[1].request.body)
    assert said == {"text": "Call failed: Follow-up call (+1••••••0006)"}


def test_the_guides_handler_hears(db, monkeypatch, capsys, django_capture_on_commit_callbacks):
    monkeypatch.setattr("polaris.events._registry", [])
    exec(from_the_guide("def open_a_ticket"), {})  # noqa: S102

    with django_capture_on_commit_callbacks(execute=True):
        publish("call.failed", phone="+1••••••0006", error_message="Nobody answered.")

    assert capsys.readouterr().out == "+1••••••0006 Nobody answered.\n"
