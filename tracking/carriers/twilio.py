"""Twilio, through its SDK; also the simulated carrier, which speaks the same dialect."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from django.conf import settings
from django.utils import timezone
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError

from polaris.environment import require
from polaris.masking import mask_numbers, mask_phone
from tracking.carriers.base import CallNotAccepted, CallReport, CallRequest, Carrier, Trouble
from tracking.carriers.twilio_http import PooledHttpClient
from tracking.carriers.twilio_words import STATUSES, trouble_of
from tracking.states import CallStatus

_TWILIO = "https://api.twilio.com"
_FAILURES = (TwilioException, HTTPError, ValueError)
# One number has one live call: what we look for is among its latest.
_LISTED = 20
_LARGEST_PAGE = 1000
# A list is in the order of creation; calls that were made at once may change places.
_OUT_OF_ORDER = timedelta(minutes=5)
_EVENTS = ["initiated", "ringing", "answered", "completed"]
# Asks Twilio to repeat a webhook that met a server error, a refused connection or a time-out.
_RETRY = "#rc=3&rp=5xx,ct,rt"
_GREETING = (
    "<Response><Say>Hello. This is your scheduled call from Polaris. Good-bye.</Say></Response>"
)


class TwilioCarrier(Carrier):
    """Places calls with one shared client, which never waits without a limit.

    https://www.twilio.com/docs/voice/api/call-resource"""

    def __init__(self) -> None:
        for name in ("ACCOUNT_SID", "AUTH_TOKEN", "FROM_NUMBER", "WEBHOOK_URL"):
            require(
                getattr(settings, f"TWILIO_{name}"),
                f"TWILIO_{name} is not set: no call can be placed without it.",
            )
        self._http = PooledHttpClient(
            base_url=settings.TWILIO_API_BASE_URL or _TWILIO,
            connect_timeout=settings.TWILIO_CONNECT_TIMEOUT,
            read_timeout=settings.TWILIO_READ_TIMEOUT,
            connections=settings.SCHEDULER_WORKERS,
        )
        self._client = _make_client(self._http)

    def place_call(self, request: CallRequest) -> CallReport:
        """Ask Twilio for a call. Raises CallNotAccepted unless it answered that it took it."""
        instructions = _instructions(request)
        try:
            call = self._client.calls.create(
                to=request.to,
                from_=settings.TWILIO_FROM_NUMBER,
                status_callback=callback_url(request.attempt_id),
                status_callback_event=_EVENTS,
                **instructions,
                **({"machine_detection": "Enable"} if request.detects_machines else {}),
            )
            if not call.sid:
                raise ValueError("an answer without a sid")
        except Exception as error:
            raise _explain(error, request.to, self._http) from error
        return CallReport(
            call_id=call.sid,
            status=STATUSES.get(str(call.status), CallStatus.QUEUED),
            at=timezone.now(),
            attempt_id=request.attempt_id,
        )

    def fetch_call(self, call_id: str) -> CallReport | None:
        """Ask Twilio for a call's present state. One that it has no record of has failed."""
        try:
            return _report_of(self._client.calls(call_id).fetch())
        except _FAILURES as error:
            return _lost(call_id) if getattr(error, "status", None) == 404 else None

    def find_calls(self, to: str, *, since: datetime, until: datetime) -> list[CallReport] | None:
        """Ask Twilio for its latest calls to a number; one without a time may be any.

        Its filter by StartTime is left aside: a queued call has none."""
        try:
            calls = self._client.calls.list(
                to=to, from_=settings.TWILIO_FROM_NUMBER, limit=_LISTED, page_size=_LISTED
            )
        except _FAILURES:
            return None
        reports = [report for call in calls if (report := _report_of(call))]
        return [each for each in reports if each.made_at is None or since <= each.made_at <= until]

    def calls_since(self, moment: datetime) -> list[CallReport] | None:
        """Ask Twilio for our calls, the newest first, page by page until they are older."""
        reports = []
        try:
            calls = self._client.calls.stream(
                from_=settings.TWILIO_FROM_NUMBER, page_size=_LARGEST_PAGE
            )
            for call in calls:
                report = _report_of(call)
                if report and report.made_at and report.made_at < moment - _OUT_OF_ORDER:
                    break
                if report and (report.made_at is None or report.made_at >= moment):
                    reports.append(report)
        except _FAILURES:
            return None
        return reports

    def stop_call(self, call_id: str, *, hang_up: bool) -> CallReport | None:
        """Ask Twilio to end a call. One that is over already, or answered, is left as it is."""
        for word in ("canceled", "completed") if hang_up else ("canceled",):
            try:
                self._client.calls(call_id).update(status=word)
            except TwilioRestException as error:
                if error.status >= 500:
                    return None
            except _FAILURES:
                return None
        return self.fetch_call(call_id)


def _report_of(call: Any) -> CallReport | None:
    if str(call.status) not in STATUSES:
        return None
    return CallReport(
        call_id=call.sid,
        status=STATUSES[str(call.status)],
        at=_aware(call.end_time) or timezone.now(),
        duration=int(call.duration) if call.duration else None,
        answered_by=call.answered_by or "",
        phone=call.to or "",
        made_at=_aware(call.date_created) or _aware(call.start_time),
    )


def _lost(call_id: str) -> CallReport:
    return CallReport(
        call_id=call_id,
        status=CallStatus.FAILED,
        at=timezone.now(),
        reason="The carrier has no record of this call.",
        is_absent=True,
    )


def callback_url(attempt_id: str) -> str:
    """Where Twilio reports a call to; the attempt's id makes its webhooks ours."""
    return f"{settings.TWILIO_WEBHOOK_URL}?{urlencode({'attempt_id': attempt_id})}{_RETRY}"


def _make_client(http_client: PooledHttpClient) -> Client:
    client = Client(
        settings.TWILIO_ACCOUNT_SID,
        settings.TWILIO_AUTH_TOKEN,
        http_client=http_client,
        # TWILIO_EDGE and TWILIO_REGION would be written into an address given by number.
        environment={"TWILIO_EDGE": ""} if settings.TWILIO_API_BASE_URL else None,
    )
    if settings.TWILIO_API_BASE_URL:
        client.api.base_url = settings.TWILIO_API_BASE_URL.rstrip("/")
    return client


def _instructions(request: CallRequest) -> dict[str, str]:
    if not settings.TWILIO_VOICE_URL:
        return {"twiml": _GREETING}
    words = {
        "agent_instance_id": quote(request.agent_instance_id, safe=""),
        "schedule_id": quote(request.schedule_id, safe=""),
    }
    return {"url": settings.TWILIO_VOICE_URL.format(**words)}


def _explain(error: Exception, number: str, http: PooledHttpClient) -> CallNotAccepted:
    if isinstance(error, TwilioRestException):
        trouble = trouble_of(status=error.status, code=error.code)
        code = error.code or error.status
        said = mask_numbers(error.msg.replace(number, mask_phone(number)))
        return CallNotAccepted(
            trouble,
            code=str(code),
            message=f"Twilio {code}: {said}",
            retry_after=http.retry_after,
        )
    if isinstance(error, NewConnectionError | ConnectTimeoutError | ProxyError):
        # No connection was made at all: refused, unreachable, or its name not found.
        why = str(error).rpartition(": ")[2].strip(" )'\"")
        return CallNotAccepted(
            Trouble.NOT_SENT, code="not_sent", message=f"Twilio could not be reached: {why}."
        )
    return CallNotAccepted(
        Trouble.AMBIGUOUS,
        code="ambiguous",
        message=f"Twilio's answer did not arrive whole ({type(error).__name__}).",
    )


def _aware(moment: datetime | None) -> datetime | None:
    return moment.astimezone(UTC) if moment and moment.tzinfo else None
