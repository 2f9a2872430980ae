"""The carrier's answer and an operator's act meet in the database: neither is lost."""

import threading
from datetime import timedelta
from itertools import count

import pytest
from django.db import connection
from django.utils import timezone

from schedules import services
from schedules.claims import claim_due
from schedules.models import CallSchedule
from schedules.states import ScheduleStatus
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking.carriers.memory import MemoryCarrier
from tracking.dialling import dial
from tracking.models import CallLog

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 25
numbers = count()
DAILY = {"enabled": True, "frequency": "daily", "interval": 1}


def claimed():
    now = timezone.now()
    phone = f"+1650{next(numbers):07d}"
    schedule = CallScheduleFactory(scheduled_time=now, repeat_config=DAILY, phone=phone)
    ActiveScheduleFactory(schedule=schedule)
    return claim_due(
        runner_id="runner_a", moment=timezone.now(), limit=1, lease=timedelta(seconds=60)
    )[0]


@pytest.mark.parametrize("act", [services.pause, services.cancel])
def test_an_act_during_the_answer_succeeds_and_the_answer_is_kept(act, monkeypatch):
    answered, errors = threading.Event(), []
    place = MemoryCarrier.place_call

    def answer(carrier, request):
        report = place(carrier, request)
        answered.set()
        return report

    monkeypatch.setattr(MemoryCarrier, "place_call", answer)

    def intervene(schedule_id):
        try:
            answered.wait(10)
            act(CallSchedule.objects.get(pk=schedule_id))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    for _ in range(ROUNDS):
        armed = claimed()
        answered.clear()
        thread = threading.Thread(target=intervene, args=(armed.schedule_id,))
        thread.start()
        dial(armed.pk, armed.lease)
        thread.join()

    done = ScheduleStatus.PAUSED if act is services.pause else ScheduleStatus.CANCELLED
    assert errors == []
    assert (
        CallLog.objects.filter(status=CallLog.Status.QUEUED).exclude(call_id="").count() == ROUNDS
    )
    assert set(CallSchedule.objects.values_list("status", flat=True)) == {done}
