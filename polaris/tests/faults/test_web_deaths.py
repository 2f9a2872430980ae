"""The web process dies with a webhook, a runner with a housekeeping job: nothing is lost by it."""

from datetime import timedelta

import pytest
from django.utils import timezone
from django_apscheduler.models import DjangoJob

from polaris.tests.faults.engine import (
    PATIENCE,
    Engine,
    arranged,
    comes_to_rest,
    let_silence_pass,
)
from polaris.tests.faults.evidence import check_exactly_once, story
from polaris.tests.stack import wait_until
from schedules.models import Turn
from tracking.models import CallLog
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.faults

STEPS = [
    "before a webhook is acted upon",
    "within the report",
    "before a schedule is settled by a webhook",
    "before a webhook is committed",
    "after a webhook is acted upon",
    "before a webhook is kept by itself",
    "after a webhook is kept by itself",
    "after a kept webhook is acted upon",
]


def due_at_once(job: str) -> None:
    """As time would do: a housekeeping job comes round."""
    DjangoJob.objects.filter(pk=job).update(next_run_time=timezone.now())


def test_a_webhook_that_the_web_process_dies_with_is_made_up_for(engine: Engine):
    """Nobody hears Twilio's repetitions either: what was kept is taken up, the rest asked for."""
    engine.start_runner()
    schedules = []
    for step in STEPS:
        web = engine.start_dying_web(step)
        schedules.append(arranged())
        engine.wait_for_death(web)
        engine.carrier.wait_idle(PATIENCE)  # the others of its webhooks find nobody
    WebhookEvent.objects.update(received_at=timezone.now() - timedelta(minutes=2))  # as time would
    due_at_once("take up webhooks")
    comes_to_rest(let_silence_pass)

    assert [story(schedule) for schedule in schedules] == [[("completed", "")]] * len(STEPS)
    wait_until(
        lambda: not WebhookEvent.objects.filter(processed_at=None).exists(),
        what="what was kept has been acted upon",
        patience=PATIENCE,
    )
    assert WebhookEvent.objects.exists()
    check_exactly_once(engine.carrier)


def test_who_dies_with_a_housekeeping_job_does_not_stop_it(engine: Engine):
    """Its turn runs out, then another runner does the job."""
    dying = engine.start_dying("within a housekeeping job")
    wait_until(DjangoJob.objects.filter(pk="recover").exists, what="it waits", patience=PATIENCE)
    due_at_once("recover")
    engine.wait_for_death(dying)
    left = Turn.objects.get(pk="recover")
    assert left.holder
    assert left.until > timezone.now()
    schedule = arranged()
    engine.run_until_dead("after the opening of the ledger", SCHEDULER_LEASE_SECONDS="600")
    CallLog.objects.update(last_updated=timezone.now() - timedelta(minutes=11))
    schedule.armed.all().delete()  # so that nobody but housekeeping finds the open attempt

    for _ in range(2):
        engine.start_runner()
    due_at_once("recover")
    passed_over = "recover is passed over"
    wait_until(lambda: passed_over in engine.log_of("runner"), what=passed_over, patience=PATIENCE)
    assert CallLog.objects.get().status == "pending"

    Turn.objects.filter(pk="recover").update(until=timezone.now())  # as after a minute
    due_at_once("recover")
    wait_until(
        lambda: story(schedule)[0] == ("failed", "not_placed"),
        what="the attempt is found and looked up",
        patience=PATIENCE,
    )
    assert Turn.objects.get(pk="recover").holder != left.holder
