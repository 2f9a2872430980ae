"""Twilio's words and numbers, and what they mean to us.

Sources: Twilio's Call resource (statuses), its status callbacks (`initiated`), its error
dictionary (codes).
"""

from tracking.carriers.base import Trouble
from tracking.states import CallStatus

STATUSES = {
    "queued": CallStatus.QUEUED,
    "initiated": CallStatus.INITIATED,
    "ringing": CallStatus.RINGING,
    "in-progress": CallStatus.IN_PROGRESS,
    "completed": CallStatus.COMPLETED,
    "busy": CallStatus.BUSY,
    "no-answer": CallStatus.NO_ANSWER,
    "failed": CallStatus.FAILED,
    "canceled": CallStatus.CANCELLED,
}

_CODES = {
    Trouble.NUMBER: (13224, 21202, 21211, 21214, 21216, 21217),
    Trouble.REQUEST: (21200, 21201, 21205, 21206, 21208, 21209, 21609),
    Trouble.ACCOUNT: (10001, 20003, 21210, 21212),
    Trouble.PERMISSION: (13227, 21215, 21219, 32205),
    Trouble.BUSY: (10004, 20429),
}
_TROUBLES = {code: trouble for trouble, codes in _CODES.items() for code in codes}


def trouble_of(*, status: int, code: int | None) -> Trouble:
    """What an error answer of Twilio means. An error of its servers may hide a placed call."""
    if status >= 500:
        return Trouble.AMBIGUOUS
    if code in _TROUBLES:
        return _TROUBLES[code]
    if status == 429:
        return Trouble.BUSY
    return Trouble.ACCOUNT if status in {401, 403} else Trouble.REQUEST
