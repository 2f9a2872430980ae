"""What a message says, in words: a subject and a body, from templates/notifications/."""

import re
from datetime import datetime
from typing import Any

from django.template.loader import select_template
from django.utils.text import Truncator

from tracking.models import Notification

_LONGEST_SUBJECT = 150
_MOMENTS = ("occurrence", "scheduled_time", "since", "next_execution")


def headline(event: str) -> str:
    """`call.failed` as `Call failed`."""
    return event.replace(".", " ").capitalize()


def subject_of(notification: Notification) -> str:
    """One line, such as `Call failed: Follow-up call (+1••••••0006)`."""
    text = _render(notification, ["subject.txt"])
    # A description's line breaks would otherwise end the header.
    return Truncator(" ".join(text.split())).chars(_LONGEST_SUBJECT)


def body_of(notification: Notification) -> str:
    """Plain text; moments stand in the zone SCHEDULER_TIMEZONE.

    A template named after the event (`call.failed.txt`) goes before its family's (`call.txt`)."""
    family = notification.event.partition(".")[0]
    text = _render(notification, [f"{notification.event}.txt", f"{family}.txt", "message.txt"])
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _render(notification: Notification, templates: list[str]) -> str:
    context = {
        "notification": notification,
        "event": notification.event,
        "headline": headline(notification.event),
        "data": notification.payload | _moments(notification.payload),
    }
    return select_template([f"notifications/{name}" for name in templates]).render(context)


def _moments(data: dict[str, Any]) -> dict[str, datetime]:
    """The moments among `data`, which are text in JSON."""
    return {name: datetime.fromisoformat(data[name]) for name in _MOMENTS if data.get(name)}
