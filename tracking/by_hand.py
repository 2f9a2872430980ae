"""What an operator does to a call that does not tell by itself what became of it."""

from django.utils import timezone

from polaris.audit.recording import Act, record, together
from polaris.database import atomic
from polaris.errors import IllegalTransition
from polaris.masking import mask_numbers
from polaris.repeating import repeated
from tracking import ledger
from tracking.announcing import announce_call
from tracking.models import CallLog
from tracking.settlement import settle
from tracking.states import LIVE, CallStatus

BY_HAND = "by_hand"
ASKABLE = LIVE | {CallStatus.UNKNOWN}
_NOT_SAID = "What was found was not noted."


@repeated
def settle_as_failed(log: CallLog, *, by: str, reason: str = "") -> None:
    """Close a call that `by` has looked up at the carrier, for nobody else knows what became of it.

    Its number is free again and its schedule goes on; it is not dialled again, whatever the retry
    policy says. Raises IllegalTransition unless the call is unknown."""
    message = f"{by} has looked it up and settled it as failed: {mask_numbers(reason) or _NOT_SAID}"
    with atomic(), together():
        verb = "call.settled_by_hand"
        if not ledger.close_unknown(log, code=BY_HAND, message=message, verb=verb):
            raise IllegalTransition("Only a call of which nobody knows is settled by hand.")
        announce_call("call.failed", log)
        if log.schedule_id:
            settle(log.schedule_id)


@repeated
def ask_now(log: CallLog) -> None:
    """Have the next runner ask the carrier what became of the call, instead of at its time.

    Raises IllegalTransition where the call is over, or the carrier has not answered yet."""
    rows = CallLog.objects.filter(pk=log.pk, status__in=ASKABLE)
    with atomic():
        if not rows.update(next_check_at=timezone.now()):
            raise IllegalTransition("The carrier is asked for calls that it has or may have.")
        record(Act("call.ask", "call", log.pk, log.schedule_id))
