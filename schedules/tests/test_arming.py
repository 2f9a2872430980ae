"""Arming together: what comes again is armed anew, what does not goes, a lost claim is left."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from schedules import arming
from schedules.claims import claim_due
from schedules.models import ActiveSchedule, CallSchedule
from schedules.tests.factories import ActiveScheduleFactory

pytestmark = pytest.mark.django_db


def due(**schedule):
    moment = timezone.now().replace(microsecond=0) - timedelta(seconds=1)
    fields = {f"schedule__{name}": value for name, value in schedule.items()}
    return ActiveScheduleFactory(schedule__scheduled_time=moment, **fields)


def claimed():
    claims = claim_due(
        runner_id="runner_a", moment=timezone.now(), limit=10, lease=timedelta(seconds=60)
    )
    for armed in claims:
        armed.schedule = CallSchedule.objects.get(pk=armed.schedule_id)
    return claims


def daily(interval=1):
    return due(repeat_config={"enabled": True, "frequency": "daily", "interval": interval})


def test_each_that_repeats_gets_its_own_next_time_and_is_free():
    one, two = daily(), daily(interval=2)
    claims = claimed()

    arming.consume_together(claims)

    for armed, days in ((one, 1), (two, 2)):
        before = armed.occurrence
        armed.refresh_from_db()
        assert armed.occurrence == armed.due_at == armed.next_execution
        assert armed.occurrence == before + timedelta(days=days)
        assert (armed.status, armed.lease, armed.leased_until) == ("scheduled", "", None)
        assert armed.schedule_id


def test_what_nothing_follows_goes():
    once, repeated = due(), daily()
    claims = claimed()

    arming.consume_together(claims)

    assert not ActiveSchedule.objects.filter(pk=once.pk).exists()
    assert ActiveSchedule.objects.filter(pk=repeated.pk).exists()


def test_a_row_whose_claim_was_lost_is_left_alone():
    once, repeated = due(), daily()
    claims = claimed()
    ActiveSchedule.objects.update(lease="lease_of_another")

    arming.consume_together(claims)

    for armed in (once, repeated):
        before = armed.occurrence
        armed.refresh_from_db()
        assert armed.occurrence == before
        assert armed.lease == "lease_of_another"


def test_of_no_claims_nothing_is_written(django_assert_num_queries):
    with django_assert_num_queries(0):
        arming.consume_together([])


@pytest.mark.skipif(connection.vendor != "sqlite", reason="others plan by what the table holds")
def test_what_waits_for_a_call_is_found_by_the_index_of_those_few():
    plan = ActiveSchedule.objects.waiting_on("log_1").explain()

    assert "active_waits_on" in plan
