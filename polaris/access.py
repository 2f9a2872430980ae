"""Who may see what: the one place that decides which rows exist for a request, and who acts."""

import ipaddress
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from polaris.errors import WrongAgent

Row = TypeVar("Row", bound=Model)

AGENT_CLAIM = "agent_instance_id"
# Who may change rows sees them, as in Django's admin.
_HOLDING = {"view": ("view", "change")}
_PREFIX_OF_ONE_HOST = 64  # of an IPv6 address: the rest of it is the host's to choose


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the account as `created_by` names it, its name, the agent of its token (empty
    where it has none), and the peer's address."""

    user_id: str
    username: str
    agent: str
    address: str


def owner_id(user: Any) -> str:
    """How `created_by` names an account: `user_` and its key."""
    return f"user_{user.pk}"


def agent_of(request: Any) -> str:
    """The agent instance that the request's token is for; empty where it is for none."""
    token = getattr(request, "auth", None)
    return str(token.get(AGENT_CLAIM) or "") if token is not None else ""


def address_of(request: Any) -> str:
    """The peer's address, whatever a request's X-Forwarded-For says.

    Behind a proxy it is the one that a trusted proxy names (TRUSTED_PROXIES)."""
    return str(request.META.get("REMOTE_ADDR") or "")


def network_of(request: Any) -> str:
    """What counts as one address: an IPv4 address, or the /64 of an IPv6 one."""
    address = address_of(request)
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((known, _PREFIX_OF_ONE_HOST), strict=False))
    return str(known)


def actor_of(request: Any) -> Actor:
    """Who sent the request. Nobody in particular (empty id and name) where nobody has signed in."""
    user = request.user
    is_known = user.is_authenticated
    return Actor(
        user_id=owner_id(user) if is_known else "",
        username=user.get_username() if is_known else "",
        agent=agent_of(request),
        address=address_of(request),
    )


def agent_for(request: Any, asked: str) -> str:
    """The agent instance of a schedule that the request writes: the one asked for, or its token's.

    Raises WrongAgent where the token is for another one."""
    own = agent_of(request)
    if own and asked not in {"", own}:
        raise WrongAgent
    return own or asked


def visible_to(
    request: Any, rows: QuerySet[Row], *, right: str = "view", through: str = ""
) -> QuerySet[Row]:
    """The rows that exist for who sent `request`: its own, or all for staff who hold `right` on
    their model; with a token for an agent, of these that agent's alone.

    `right` is one of Django's (view, change, delete), as the admin asks for it; `through` leads to
    the row that says whose they are, such as `schedule__`."""
    if agent := agent_of(request):
        rows = rows.filter(**{f"{through}agent_instance_id": agent})
    if _holds(request.user, right, rows.model):
        return rows
    return rows.filter(**{f"{through}created_by": owner_id(request.user)})


def is_owner(request: Any, row: Any) -> bool:
    """Whether who sent `request` has made the row: the API shows a whole number to nobody else."""
    return bool(row.created_by == owner_id(request.user))


def _holds(user: Any, right: str, model: type[Model]) -> bool:
    opts = model._meta
    held = (f"{opts.app_label}.{each}_{opts.model_name}" for each in _HOLDING.get(right, (right,)))
    return bool(user.is_staff) and any(user.has_perm(permission) for permission in held)
