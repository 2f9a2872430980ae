"""What happened, told to whoever listens: a registry of handlers and their dispatch.

A handler is registered by the event's name or a pattern of it:

    @on("call.failed")
    def tell_the_desk(event: Event) -> None: ...

Handlers run after the transaction has been committed, in the process that published; one that
fails is logged and harms nobody. A handler registered with `in_transaction=True` runs at once,
inside the publisher's transaction: what it writes stands or falls with the change itself, and an
exception of its own undoes the change.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from django.utils import timezone

from polaris.database import on_commit
from polaris.ids import new_id

logger = logging.getLogger(__name__)

SCHEDULE_EVENTS = frozenset(
    f"schedule.{what}"
    for what in ("created", "changed", "paused", "resumed", "cancelled", "completed", "failed")
)
CALL_EVENTS = frozenset(
    f"call.{what}" for what in ("started", "completed", "failed", "missed", "stuck")
)
DIALLING_EVENTS = frozenset({"dialling.paused", "dialling.resumed"})
RUNNER_EVENTS = frozenset({"runner.missing", "runner.back", "runner.blocked", "runner.unblocked"})
WORKER_EVENTS = frozenset({"worker.missing", "worker.back"})
EVENTS = SCHEDULE_EVENTS | CALL_EVENTS | DIALLING_EVENTS | RUNNER_EVENTS | WORKER_EVENTS


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened. `data` is JSON-able; `happened_at` is aware, in UTC."""

    name: str
    data: Mapping[str, Any]
    happened_at: datetime = field(default_factory=timezone.now)
    id: str = field(default_factory=lambda: new_id("event"))


Handler = Callable[[Event], object]


@dataclass(frozen=True, slots=True)
class _Registration:
    pattern: str
    handler: Handler
    in_transaction: bool
    wants: Callable[[str], bool]

    def hears(self, name: str) -> bool:
        return fnmatchcase(name, self.pattern) and self.wants(name)


_registry: list[_Registration] = []


def on(
    pattern: str, *, in_transaction: bool = False, wants: Callable[[str], bool] = lambda _: True
) -> Callable[[Handler], Handler]:
    """Register a handler for the events whose name matches `pattern` (`call.*`, `*`), those of them
    that it `wants` at that moment.

    Raises ValueError for a pattern that no event matches: a misspelt name would never be heard."""
    if not any(fnmatchcase(name, pattern) for name in EVENTS):
        raise ValueError(
            f"no event matches {pattern!r}; the events are {', '.join(sorted(EVENTS))}"
        )

    def register(handler: Handler) -> Handler:
        _registry.append(_Registration(pattern, handler, in_transaction, wants))
        return handler

    return register


def unregister(handler: Handler) -> None:
    """Take a handler out again."""
    _registry[:] = [entry for entry in _registry if entry.handler is not handler]


def is_heard(name: str) -> bool:
    """Whether anybody listens to that event: if not, nobody need put together what it tells."""
    return any(entry.hears(name) for entry in _registry)


def publish(name: str, **data: Any) -> Event:
    """Announce an event of the transaction in hand."""
    if name not in EVENTS:
        raise ValueError(f"{name!r} is not an event")
    event = Event(name, data)
    for handler in _handlers(event, in_transaction=True):
        handler(event)
    on_commit(lambda: _dispatch(event))
    return event


def _handlers(event: Event, *, in_transaction: bool) -> list[Handler]:
    return [
        entry.handler
        for entry in _registry
        if entry.in_transaction is in_transaction and entry.hears(event.name)
    ]


def _dispatch(event: Event) -> None:
    for handler in _handlers(event, in_transaction=False):
        try:
            handler(event)
        except Exception:
            logger.exception("a handler of %s failed: %r", event.name, handler)
