"""What the audit keeps of an act on a call."""

from polaris.audit.changes import Changes
from polaris.audit.recording import Act
from tracking.models import CallLog


def call_act(
    verb: str, log: CallLog, before: str | None, more: Changes | None = None, *, reason: str = ""
) -> Act:
    """An act that has moved `log` from the state `before` (None: there was no log) to its own."""
    changed: Changes = {"status": (before and str(before), str(log.status))}
    if more:
        changed |= more
    return Act(verb, "call", log.pk, log.schedule_id, changed, reason)
