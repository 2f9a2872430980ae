"""The attempts of one occurrence in words: what became of each, and why."""

from tracking.models import CallLog
from tracking.states import CallStatus

_WORDS = {
    CallStatus.PENDING: "It is being placed; the carrier has not answered yet.",
    CallStatus.DEFERRED: "The carrier refused it for now.",
    CallStatus.QUEUED: "The carrier has accepted it and will dial.",
    CallStatus.INITIATED: "The carrier is dialling.",
    CallStatus.RINGING: "It is ringing.",
    CallStatus.IN_PROGRESS: "They are talking.",
    CallStatus.COMPLETED: "It was answered.",
    CallStatus.BUSY: "The line was busy.",
    CallStatus.NO_ANSWER: "Nobody answered.",
    CallStatus.FAILED: "It failed.",
    CallStatus.CANCELLED: "It was cancelled.",
    CallStatus.MISSED: "It was not dialled.",
    CallStatus.UNKNOWN: "It may have been placed: the carrier's answer did not arrive.",
}
# Of these the reason on the log alone would not say what became of the call.
_LED_IN = {CallStatus.DEFERRED, CallStatus.CANCELLED, CallStatus.MISSED}


def attempts_in_words(logs: list[CallLog]) -> str:
    """`Attempt 1: The line was busy. Attempt 2: It was answered, 35 s talked.`"""
    if len(logs) == 1 and logs[0].attempt == 1:
        return _in_words(logs[0])
    return " ".join(f"Attempt {log.attempt}: {_in_words(log)}" for log in logs)


def _in_words(log: CallLog) -> str:
    status = CallStatus(log.status)
    words, why = _WORDS[status], log.error_message
    if status == CallStatus.COMPLETED and log.duration:
        words = f"It was answered, {log.duration} s talked."
    if why:
        words = f"{words} {why}" if status in _LED_IN and why != words else why
    asked = " An operator asked for it." if log.metadata.get("origin") == "operator" else ""
    return f"{words}{asked}"
