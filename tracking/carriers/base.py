"""What every carrier does, in our own words."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from tracking.states import CallStatus


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A call to be placed. `attempt_id` comes back with every report of it."""

    to: str
    attempt_id: str
    schedule_id: str
    agent_instance_id: str = ""
    detects_machines: bool = False


@dataclass(frozen=True, slots=True)
class CallReport:
    """What a carrier says of a call, in its answer, a webhook or a look-up.

    `at` is when it happened (UTC), `made_at` when the carrier was asked for the call where it says
    so, `duration` whole seconds talked, `reason` a sentence where the status does not say why. One
    that it has no record of `is_absent`."""

    call_id: str
    status: CallStatus
    at: datetime
    attempt_id: str = ""
    duration: int | None = None
    answered_by: str = ""
    sip_response_code: str = ""
    phone: str = ""
    is_inbound: bool = False
    reason: str = ""
    made_at: datetime | None = None
    is_absent: bool = False


class Trouble(StrEnum):
    """Why a call was not accepted, by what can be done about it."""

    NUMBER = "number"  # the number is wrong: never dial it again
    REQUEST = "request"  # what we asked is wrong: the same again would fail again
    ACCOUNT = "account"  # the account is refused: no call can be placed
    PERMISSION = "permission"  # the account may not make this call, and perhaps no other
    BUSY = "busy"  # refused before it was processed: safe to ask again later
    NOT_SENT = "not sent"  # never left this machine: safe to ask again
    AMBIGUOUS = "ambiguous"  # may have been placed: never ask again blindly


class CallNotAccepted(Exception):
    """The carrier did not say that it took the call."""

    def __init__(
        self, trouble: Trouble, *, code: str, message: str, retry_after: timedelta | None = None
    ) -> None:
        self.trouble = trouble
        self.code = code
        self.message = message
        self.retry_after = retry_after
        super().__init__(f"{trouble}: {message}")


class Carrier(ABC):
    """Places calls and tells of them. One instance serves all threads of a process."""

    @abstractmethod
    def place_call(self, request: CallRequest) -> CallReport:
        """Ask for a call. Raises CallNotAccepted unless the carrier took it."""

    @abstractmethod
    def fetch_call(self, call_id: str) -> CallReport | None:
        """What the carrier knows of a call now; None where it cannot say."""

    @abstractmethod
    def find_calls(self, to: str, *, since: datetime, until: datetime) -> list[CallReport] | None:
        """The calls to a number that were made in that time; None where it cannot say.

        A list may lag behind: a call that it does not name may still have been made."""

    @abstractmethod
    def calls_since(self, moment: datetime) -> list[CallReport] | None:
        """All calls that we have made since then, in no order; None where it cannot say.

        It may lag behind as well. One of which no time is known is among them."""

    @abstractmethod
    def stop_call(self, call_id: str, *, hang_up: bool) -> CallReport | None:
        """End a call, one that is being talked only with `hang_up`; says what it is afterwards.

        None where the carrier cannot be asked."""
