"""Publishes what happens to calls."""

from polaris.events import is_heard, publish
from polaris.masking import mask_numbers, masked_number
from polaris.moments import show_utc
from schedules.models import CallSchedule
from tracking.models import CallLog


def announce_call(name: str, log: CallLog) -> None:
    """Publish an event of a call; its number goes masked."""
    if not is_heard(name):
        return
    publish(
        name,
        log_id=log.pk,
        schedule_id=log.schedule_id,
        call_id=log.call_id,
        status=str(log.status),
        description=mask_numbers(_description(log)),
        phone=masked_number(log),
        occurrence=show_utc(log.occurrence),
        attempt=log.attempt,
        duration=log.duration,
        error_code=log.error_code,
        error_message=log.error_message,
        attention=log.attention,
        user_profile_id=log.user_profile_id,
        agent_instance_id=log.agent_instance_id,
    )


def _description(log: CallLog) -> str:
    if "schedule" in log._state.fields_cache:
        return log.schedule.description if log.schedule else ""
    if log.schedule_id is None:
        return ""
    schedules = CallSchedule.objects.filter(pk=log.schedule_id).order_by()
    return schedules.values_list("description", flat=True).first() or ""
