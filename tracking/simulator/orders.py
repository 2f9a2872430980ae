"""What does a create ask for, and is it fit to be asked? Raises RefusedError where it is not."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import urlsplit

from tracking.simulator import refusals
from tracking.simulator.outcomes import Event
from tracking.simulator.phone import dialled
from tracking.simulator.refusals import Refusal, RefusedError

Form = Mapping[str, list[str]]

_TWIML_LIMIT = 4000
_URL_LIMIT = 4000
_TIMEOUTS = range(1, 601)
_PRINTABLE = re.compile(r"[!-~]+")
_WHOLE = re.compile(r"[0-9]{1,4}")
_EVENTS = {event.value: event for event in Event}


@dataclass(frozen=True, slots=True)
class Order:
    """A valid create."""

    to: str
    sender: str
    callback: str | None = None
    callback_method: str = "POST"
    events: frozenset[Event] = frozenset({Event.COMPLETED})
    timeout: int = 60
    """Seconds of ringing."""
    machine_detection: str = ""
    """Enable, DetectMessageEnd, or blank where it was not asked for."""


def read_order(form: Form) -> Order:
    """The create that a form asks for."""
    to, sender = _numbers(form)
    _check_instructions(form)
    return Order(
        to=to,
        sender=sender,
        callback=_callback(form),
        callback_method=_method(form, "StatusCallbackMethod"),
        events=_events(form),
        timeout=_timeout(form),
        machine_detection=first(form, "MachineDetection"),
    )


def first(form: Form, name: str) -> str:
    """A field's first value, blank where it was not sent."""
    values = form.get(name)
    return values[0].strip() if values else ""


def _numbers(form: Form) -> tuple[str, str]:
    to, sender = first(form, "To"), first(form, "From")
    if not to:
        raise RefusedError(refusals.NO_TO)
    if not sender:
        raise RefusedError(refusals.NO_FROM)
    return dialled(to) or _refuse(refusals.INVALID_TO, to), dialled(sender) or sender


def _check_instructions(form: Form) -> None:
    url, twiml = first(form, "Url"), first(form, "Twiml")
    if url:
        if not _is_url(url):
            _refuse(refusals.INVALID_URL, url)
        _method(form, "Method")
    elif len(twiml) > _TWIML_LIMIT:
        raise RefusedError(refusals.TWIML_TOO_LONG)
    elif not twiml and not first(form, "ApplicationSid"):
        raise RefusedError(refusals.NO_INSTRUCTIONS)


def _callback(form: Form) -> str | None:
    url = first(form, "StatusCallback")
    if url and not _is_url(url):
        _refuse(refusals.INVALID_CALLBACK, url)
    return url or None


def _method(form: Form, name: str) -> str:
    method = first(form, name).upper() or "POST"
    return method if method in {"GET", "POST"} else _refuse(refusals.INVALID_METHOD, method)


def _events(form: Form) -> frozenset[Event]:
    asked = form.get("StatusCallbackEvent", [Event.COMPLETED])
    unknown = [name for name in asked if name not in _EVENTS]
    if unknown:
        _refuse(refusals.INVALID_EVENT, unknown[0])
    return frozenset(_EVENTS[name] for name in asked)


def _timeout(form: Form) -> int:
    text = first(form, "Timeout") or "60"
    if not _WHOLE.fullmatch(text) or int(text) not in _TIMEOUTS:
        _refuse(refusals.INVALID_TIMEOUT, text)
    return int(text)


def _is_url(text: str) -> bool:
    if len(text) > _URL_LIMIT or not _PRINTABLE.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _refuse(refusal: Refusal, subject: str) -> NoReturn:
    raise RefusedError(refusal.about(subject))
