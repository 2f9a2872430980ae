"""System checks of the edges: what would leave a server open, told at the start."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import Error as DatabaseError

from polaris.demo import demo_operator_is_open, refusal


@register(Tags.security)
def check_https(**_kwargs: Any) -> list[CheckMessage]:
    """A warning: TLS may be terminated by somebody whom we do not see."""
    if settings.HTTPS_ONLY or not settings.PUBLIC_HOSTS:
        return []
    hosts = ", ".join(settings.PUBLIC_HOSTS)
    told = f"HTTPS_ONLY is off, but this server is open to others ({hosts})."
    hint = "Passwords, tokens and numbers would travel in the clear."
    return [Warning(told, hint=hint, id="polaris.W001")]


@register(Tags.security, deploy=True)
def check_demo_operator(**_kwargs: Any) -> list[CheckMessage]:
    """`check --deploy` looks too; a database without tables holds no operator."""
    try:
        is_open = bool(settings.PUBLIC_HOSTS) and demo_operator_is_open()
    except DatabaseError:
        return []
    return [Error(refusal(), id="polaris.E001")] if is_open else []
