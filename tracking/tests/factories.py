"""Rows for tests."""

import factory

from schedules.tests.factories import CallScheduleFactory
from tracking.models import CallLog, Notification


class CallLogFactory(factory.django.DjangoModelFactory):
    """A call that the carrier has taken."""

    class Meta:
        model = CallLog

    schedule = factory.SubFactory(CallScheduleFactory)
    occurrence = factory.SelfAttribute("schedule.scheduled_time")
    created_by = factory.SelfAttribute("schedule.created_by")
    # Each its own: one number has one live call.
    phone = factory.Sequence(lambda n: f"+1500{n:07d}")
    status = CallLog.Status.QUEUED
    call_id = factory.Sequence(lambda n: f"CA{n:032x}")


class NotificationFactory(factory.django.DjangoModelFactory):
    """A message that waits in the outbox."""

    class Meta:
        model = Notification

    event_id = factory.Sequence(lambda n: f"event_{n}")
    event = "call.failed"
    channel = "email"
