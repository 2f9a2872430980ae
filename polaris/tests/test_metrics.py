"""The metrics: who may read them, what they say, and that nothing is counted twice or lost."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from polaris.audit.models import AuditEntry, unguarded
from polaris.audit.recording import Act, record
from polaris.metrics import counting
from polaris.metrics.models import Counter
from schedules import gate
from schedules.claims import claim_due
from schedules.models import Runner
from schedules.tests.factories import ActiveScheduleFactory
from tracking.carriers.base import CallNotAccepted, CallReport, Trouble
from tracking.carriers.memory import MemoryCarrier
from tracking.dialling import dial
from tracking.models import CallLog
from tracking.reports import apply_report
from tracking.tests.factories import CallLogFactory, NotificationFactory
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
TOKEN = "a token that only prometheus knows"


@pytest.fixture(autouse=True)
def _switched_on(settings, time_machine):
    settings.METRICS_TOKEN = [TOKEN, "the one that is being taken out of use"]
    time_machine.move_to(NOW, tick=False)


def scrape(token=TOKEN, **headers):
    headers = {"Authorization": f"Bearer {token}"} | headers if token else headers
    return Client().get("/metrics", headers=headers)


def figures() -> dict[str, float]:
    """Every sample by its name, and its label where it has one."""
    text = scrape().content.decode()
    return {
        "/".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def dialled(ago: float = 0.0) -> CallLog:
    """A call that was due so many seconds ago and is dialled now."""
    due = NOW - timedelta(seconds=ago)
    schedule = ActiveScheduleFactory(schedule__scheduled_time=due).schedule
    lease = timedelta(seconds=60)
    for armed in claim_due(runner_id="runner_a", moment=timezone.now(), limit=9, lease=lease):
        dial(armed.pk, armed.lease)
    return CallLog.objects.get(schedule=schedule)


def ended(log: CallLog, status: str) -> None:
    apply_report(CallReport(call_id=log.call_id, status=status, at=NOW, attempt_id=log.pk))


class TestDoor:
    @pytest.mark.parametrize("token", [TOKEN, "the one that is being taken out of use"])
    def test_who_brings_a_token_comes_in(self, token):
        answer = scrape(token)

        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")

    def test_a_scraper_is_served_whatever_it_says_that_it_can_read(self):
        accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3"

        assert scrape(accept=accept).status_code == 200

    @pytest.mark.parametrize(
        ("token", "code"),
        [(None, "AUTH_001"), ("wrong", "AUTH_003"), (TOKEN[:-1], "AUTH_003"), ("é", "AUTH_003")],
    )
    def test_nobody_else_does(self, token, code):
        answer = scrape(token)

        assert (answer.status_code, answer.json()["error_code"]) == (401, code)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    def test_an_operators_session_does_not_open_it(self, desk):
        assert desk.get("/metrics").status_code == 401

    def test_without_a_token_there_are_none(self, settings):
        settings.METRICS_TOKEN = []

        answer = scrape()

        assert (answer.status_code, answer.json()["error_code"]) == (404, "REQUEST_002")


class TestCounters:
    def test_a_call_is_dialled_late_and_ended_once(self):
        log = dialled(ago=0.2)
        ended(log, "completed")
        ended(log, "completed")

        counting.count()
        counting.count()

        found = figures()
        assert found["polaris_dialled_total"] == 1
        assert found["polaris_calls_ended_total/completed"] == 1
        assert found["polaris_calls_ended_total/failed"] == 0
        assert found["polaris_lateness_seconds_bucket/0.1"] == 0
        assert found["polaris_lateness_seconds_bucket/0.25"] == 1
        assert found["polaris_lateness_seconds_bucket/300.0"] == 1
        assert found["polaris_lateness_seconds_count"] == 1
        assert found["polaris_lateness_seconds_sum"] == pytest.approx(0.2)

    @pytest.mark.parametrize(
        ("ago", "status"), [(301, "missed"), (0, "busy"), (0, "no_answer"), (0, "failed")]
    )
    def test_every_end_is_counted_by_its_outcome(self, ago, status):
        log = dialled(ago)
        if status != "missed":
            ended(log, status)

        counting.count()

        assert figures()[f"polaris_calls_ended_total/{status}"] == 1
        assert figures()["polaris_dialled_total"] == (status != "missed")

    def test_what_the_carrier_refused_was_not_dialled(self):
        refusal = CallNotAccepted(Trouble.NUMBER, code="21211", message="No such number.")
        MemoryCarrier.troubles.append(refusal)
        dialled()

        counting.count()

        assert figures()["polaris_dialled_total"] == 0
        assert figures()["polaris_calls_ended_total/failed"] == 1

    def test_an_unknown_call_is_dialled_when_it_turns_out_to_have_been(self):
        log = CallLogFactory(status="unknown", call_id="", due_at=NOW)
        apply_report(CallReport(call_id="CA1", status="ringing", at=NOW, attempt_id=log.pk))

        counting.count()

        assert figures()["polaris_dialled_total"] == 1

    def test_counters_outlive_the_rows_that_they_counted(self):
        ended(dialled(), "completed")
        counting.count()
        CallLog.objects.all().delete()
        unguarded().delete()

        counting.count()

        assert figures()["polaris_dialled_total"] == 1
        assert figures()["polaris_lateness_seconds_count"] == 1

    def test_of_two_who_count_the_same_one_is_heard(self, monkeypatch):
        dialled()
        counting.seal()
        tally = counting._tally

        def while_another_counts(entries):
            with monkeypatch.context() as other:
                other.setattr(counting, "_tally", tally)
                counting.count_batch()
            return tally(entries)

        monkeypatch.setattr(counting, "_tally", while_another_counts)
        counting.count_batch()

        assert figures()["polaris_dialled_total"] == 1

    def test_a_long_history_is_counted_in_batches(self, monkeypatch):
        monkeypatch.setattr(counting, "AT_ONCE", 3)
        record(*(Act("call.missed", "call", f"log_{n}", changes=MISSED) for n in range(10)))

        assert counting.count() == 10
        assert figures()["polaris_calls_ended_total/missed"] == 10

    def test_what_was_pruned_before_it_was_counted_is_passed_over(self):
        record(*(Act("call.missed", "call", f"log_{n}", changes=MISSED) for n in range(4)))
        counting.seal()
        unguarded().filter(sequence__lte=2).delete()
        counting.AuditChain.objects.update(pruned_sequence=2)

        assert counting.count() == 2
        assert Counter.objects.get(pk=Counter.POSITION).value == 4


MISSED = {"status": (None, "missed")}


class TestGauges:
    def test_what_waits_and_what_is_claimed(self):
        ActiveScheduleFactory(schedule__scheduled_time=NOW - timedelta(seconds=40))
        ActiveScheduleFactory(schedule__scheduled_time=NOW - timedelta(seconds=10))
        ActiveScheduleFactory(schedule__scheduled_time=NOW + timedelta(seconds=10))
        claim_due(runner_id="runner_a", moment=NOW, limit=1, lease=timedelta(seconds=60))

        found = figures()

        assert found["polaris_waiting"] == 1
        assert found["polaris_waiting_oldest_seconds"] == 10
        assert found["polaris_claims"] == 1

    def test_calls_that_are_not_over(self):
        for status in ("ringing", "queued", "unknown", "completed"):
            CallLogFactory(status=status)
        CallLog.objects.filter(status="unknown").update(attention="Two calls may be it.")

        found = figures()

        assert found["polaris_live_calls"] == 2
        assert found["polaris_calls/unknown"] == 1
        assert found["polaris_calls/pending"] == 0
        assert found["polaris_calls_needing_attention"] == 1

    def test_the_gate_and_the_runners(self, time_machine):
        gate.close("Enough.", by="operator")
        time_machine.shift(timedelta(seconds=30))
        Runner.objects.create(host="calls", process_id=1)
        Runner.objects.create(host="calls", process_id=2, last_seen_at=NOW - timedelta(minutes=1))
        for number in (3, 4):
            Runner.objects.create(role="worker", host="calls", process_id=number)

        found = figures()

        assert found["polaris_gate_closed"] == 1
        assert found["polaris_gate_closed_seconds"] == 30
        assert found["polaris_runners"] == 1
        assert found["polaris_workers"] == 2

    def test_the_outbox(self):
        NotificationFactory(created_at=NOW - timedelta(minutes=2))
        NotificationFactory(status="sent")

        assert figures()["polaris_outbox_waiting"] == 1
        assert figures()["polaris_outbox_oldest_seconds"] == 120

    def test_how_soon_webhooks_are_acted_upon(self):
        for n in range(1, 101):
            arrived(n, took=n / 100)
        arrived(101, took=None)
        arrived(102, took=60, ago=3600)

        found = figures()

        assert found["polaris_webhook_latency_seconds/0.5"] == 0.5
        assert found["polaris_webhook_latency_seconds/0.99"] == 0.99
        assert found["polaris_webhooks_recent"] == 101
        assert found["polaris_webhooks_unprocessed"] == 1

    def test_the_audit_that_is_not_sealed(self):
        record(Act("call.ask", "call", "log_1"))
        before = figures()["polaris_audit_unsealed"]
        counting.count()

        assert (before, figures()["polaris_audit_unsealed"]) == (1, 0)

    def test_no_number_and_no_name_is_told(self):
        dialled()
        gate.close("Ask +15005550006.", by="operator")

        text = scrape().content.decode()

        assert "5005550006" not in text
        assert "operator" not in text


def arrived(n: int, *, took: float | None, ago: float = 0) -> None:
    came = NOW - timedelta(seconds=ago)
    done = came + timedelta(seconds=took) if took is not None else None
    WebhookEvent.objects.create(
        fingerprint=str(n), call_id="CA1", received_at=came, processed_at=done
    )


def test_a_scrape_costs_the_same_queries_whatever_there_is():
    with CaptureQueriesContext(connection) as with_nothing:
        scrape()
    for _ in range(3):
        ended(dialled(), "completed")
        CallLogFactory(status="ringing")
        NotificationFactory()
    counting.count()

    with CaptureQueriesContext(connection) as with_much:
        scrape()

    assert AuditEntry.objects.exists()
    assert len(with_much) == len(with_nothing) <= 12
