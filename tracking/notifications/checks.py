"""System checks: settings of the notifications that could only fail later, told at the start."""

from collections import Counter
from fnmatch import fnmatchcase
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import import_string

from polaris.events import EVENTS
from tracking.models import Notification
from tracking.notifications.channels import Channel
from tracking.notifications.signing import WANTED, is_signing_secret


@register
def check_webhook_secret(**_kwargs: Any) -> list[CheckMessage]:
    """A webhook without a sound secret would fail at the first event."""
    if not settings.NOTIFY_WEBHOOK_URL or is_signing_secret(settings.NOTIFY_WEBHOOK_SECRET):
        return []
    return [Error(WANTED, id="notifications.E001")]


@register
def check_webhook_is_encrypted(**_kwargs: Any) -> list[CheckMessage]:
    """A message names people and calls."""
    is_plain = settings.NOTIFY_WEBHOOK_URL.lower().startswith("http:")
    if not is_plain or settings.DEBUG or settings.NOTIFY_WEBHOOK_PRIVATE:
        return []
    wanted = "NOTIFY_WEBHOOK_URL must be https://, unless NOTIFY_WEBHOOK_PRIVATE is true."
    return [Error(wanted, id="notifications.E004")]


@register
def check_events(**_kwargs: Any) -> list[CheckMessage]:
    """A misspelt event would never be told."""
    return [
        Error(
            f"NOTIFY_EVENTS holds {pattern!r}, which matches no event; the events are "
            f"{', '.join(sorted(EVENTS))}.",
            id="notifications.E002",
        )
        for pattern in settings.NOTIFY_EVENTS
        if not any(fnmatchcase(name, pattern) for name in EVENTS)
    ]


@register
def check_channels(**_kwargs: Any) -> list[CheckMessage]:
    """A channel is a subclass of Channel, with a name of its own that the outbox can keep."""
    problems = {path: _problem_of(path) for path in settings.NOTIFICATION_CHANNELS}
    wrong = {path: problem for path, problem in problems.items() if problem}
    if not wrong:
        wrong = _namesakes()
    return [
        Error(f"NOTIFICATION_CHANNELS: {path!r} {problem}.", id="notifications.E003")
        for path, problem in wrong.items()
    ]


def _problem_of(path: str) -> str:
    try:
        channel = import_string(path)
    except ImportError:
        return "cannot be imported"
    if not (isinstance(channel, type) and issubclass(channel, Channel)):
        return "is not a Channel"
    longest = Notification._meta.get_field("channel").max_length or 0
    if not 0 < len(getattr(channel, "name", "")) <= longest:
        return f"needs a name of 1 to {longest} characters"
    return ""


def _namesakes() -> dict[str, str]:
    names = [(path, import_string(path).name) for path in settings.NOTIFICATION_CHANNELS]
    uses = Counter(name for _, name in names)
    return {path: f"is not the only one named {name!r}" for path, name in names if uses[name] > 1}
