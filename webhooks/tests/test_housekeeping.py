"""Webhooks that were kept but not acted upon."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tracking.models import CallLog
from tracking.tests.factories import CallLogFactory
from webhooks.housekeeping import take_up
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db

CALL_ID = "CA" + "1" * 32


def kept(log, *, ago, **fields):
    return WebhookEvent.objects.create(
        fingerprint=log.pk,
        call_id=CALL_ID,
        attempt_id=log.pk,
        call_status="completed",
        payload={"CallSid": CALL_ID, "CallStatus": "completed", "CallDuration": "7"},
        received_at=timezone.now() - timedelta(seconds=ago),
        **fields,
    )


def test_what_was_left_over_is_acted_upon():
    log = CallLogFactory(status=CallLog.Status.UNKNOWN, call_id="")
    event = kept(log, ago=90)

    take_up()

    log.refresh_from_db()
    event.refresh_from_db()
    assert (log.status, log.duration, log.call_id) == ("completed", 7, CALL_ID)
    assert event.outcome == WebhookEvent.Outcome.APPLIED


def test_what_somebody_may_still_be_acting_upon_is_left_alone():
    log = CallLogFactory(status=CallLog.Status.UNKNOWN, call_id="")
    kept(log, ago=5)

    take_up()

    log.refresh_from_db()
    assert log.status == CallLog.Status.UNKNOWN


def test_one_that_cannot_be_acted_upon_does_not_keep_the_others():
    broken, log = CallLogFactory.create_batch(2, status=CallLog.Status.UNKNOWN, call_id="")
    WebhookEvent.objects.filter(pk=kept(broken, ago=99).pk).update(payload={"CallSid": "?"})
    kept(log, ago=90)

    take_up()

    log.refresh_from_db()
    assert log.status == CallLog.Status.COMPLETED
