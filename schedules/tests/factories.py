"""Rows for tests."""

from datetime import timedelta

import factory
from django.utils import timezone

from schedules.models import ActiveSchedule, CallSchedule


class CallScheduleFactory(factory.django.DjangoModelFactory):
    """A one-time call in an hour, without an armed row."""

    class Meta:
        model = CallSchedule

    created_by = "user_1"
    phone = "+15005550006"
    scheduled_time = factory.LazyFunction(
        lambda: (timezone.now() + timedelta(hours=1)).replace(microsecond=0)
    )
    timezone = "UTC"
    status = CallSchedule.Status.SCHEDULED


class ActiveScheduleFactory(factory.django.DjangoModelFactory):
    """An armed call, at its schedule's time."""

    class Meta:
        model = ActiveSchedule

    schedule = factory.SubFactory(CallScheduleFactory)
    occurrence = factory.SelfAttribute("schedule.scheduled_time")
    next_execution = factory.SelfAttribute("occurrence")
    due_at = factory.SelfAttribute("occurrence")
