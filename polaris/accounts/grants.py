"""Which agent instances an account may act for. Taking effect at once: every request looks."""

from typing import Any

from django.db import IntegrityError

from polaris.accounts.models import AgentGrant
from polaris.database import one_statement
from polaris.errors import AgentNotGranted


def grant(*, user: Any, agent_instance_id: str, granted_by: Any) -> AgentGrant:
    """Let `user` act for that agent; where it may already, the grant that stands."""
    key = {"user": user, "agent_instance_id": agent_instance_id}
    try:
        with one_statement():
            return AgentGrant.objects.create(**key, granted_by=granted_by)
    except IntegrityError:
        return AgentGrant.objects.get(**key)


def withdraw(*, user: Any, agent_instance_id: str) -> bool:
    """Whether there was such a grant. Tokens that stand on it are refused from now on."""
    key = {"user": user, "agent_instance_id": agent_instance_id}
    return bool(AgentGrant.objects.filter(**key).delete()[0])


def require_grant(user: Any, agent_instance_id: str) -> None:
    """Raises AgentNotGranted."""
    key = {"user": user, "agent_instance_id": agent_instance_id}
    if not AgentGrant.objects.filter(**key).exists():
        raise AgentNotGranted
