"""Who acts just now, from where, and in which request?

Known from the context, so that services need not be told: a request's account, the runner or the
command that the process is, or a system actor that is named for the length of a block."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest

from polaris.access import owner_id

CARRIER = "carrier"
NOBODY = "nobody"  # a request without an account
SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Origin:
    """An account (`user_…`), a runner (`runner_…`), `carrier`, `command …`, `nobody` or `system`,
    and what is known of its request."""

    actor: str
    actor_name: str = ""
    agent_instance_id: str = ""
    address: str = ""
    request_id: str = ""


@dataclass(slots=True)
class _Process:
    actor: str = SYSTEM


_process = _Process()
_request: ContextVar[tuple[HttpRequest, str] | None] = ContextVar("request", default=None)
_actor: ContextVar[tuple[str, str] | None] = ContextVar("actor", default=None)


def this_process_is(actor: str) -> None:
    """Whoever acts in this process, in whatever thread, is `actor` where nothing else is said."""
    _process.actor = actor


@contextmanager
def acting(actor: str, name: str = "") -> Iterator[None]:
    """Within the block `actor` acts; the request, if there is one, stays known."""
    token = _actor.set((actor, name))
    try:
        yield
    finally:
        _actor.reset(token)


@contextmanager
def serving(request: HttpRequest, request_id: str) -> Iterator[None]:
    """Within the block acts whoever `request` turns out to come from."""
    token = _request.set((request, request_id))
    try:
        yield
    finally:
        _request.reset(token)


def request_id() -> str:
    """The id of the request in hand; empty where there is none."""
    serving_now = _request.get()
    return serving_now[1] if serving_now else ""


def route_arguments() -> dict[str, str]:
    """What the path of the request in hand names, such as `schedule_id`; empty where none is."""
    serving_now = _request.get()
    match = serving_now[0].resolver_match if serving_now else None
    return match.kwargs if match else {}


def origin() -> Origin:
    """Who acts. Of a request the account is known once its view has let it in."""
    named, serving_now = _actor.get(), _request.get()
    if serving_now is None:
        return Origin(*named) if named else Origin(_process.actor)
    request, its_id = serving_now
    actor, name = named or _account(request)
    return Origin(
        actor,
        name,
        agent_instance_id=_agent(request),
        address=str(request.META.get("REMOTE_ADDR") or "")[:64],
        request_id=its_id,
    )


def _account(request: HttpRequest) -> tuple[str, str]:
    user: Any = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return NOBODY, ""
    return owner_id(user), user.get_username()


def _agent(request: HttpRequest) -> str:
    """The agent that a token was given to; DRF leaves the token on Django's request."""
    try:
        agent = request.auth.get("agent_instance_id")  # type: ignore[attr-defined]
    except AttributeError:
        return ""
    return agent.replace("\0", "")[:128] if isinstance(agent, str) else ""
