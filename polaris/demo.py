"""The operator of the demo, whose password everybody knows: never where others can come in."""

import logging

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import Error, connection

from polaris.database import refuse_unfit_server

logger = logging.getLogger(__name__)

NAME = "demo"
PASSWORD = "demo"  # noqa: S105 (printed at every start of a demo)


def refuse_demo_operator() -> None:
    """Stops the start of a server that is open to others while the demo's password opens it.

    Where the database is away nothing is known, and nothing is stopped. Raises
    ImproperlyConfigured."""
    if not settings.PUBLIC_HOSTS:
        return
    try:
        is_open = demo_operator_is_open()
    except Error:
        logger.warning("the database is away: nobody has looked for the demo operator")
        return
    if is_open:
        raise ImproperlyConfigured(refusal())


def demo_operator_is_open() -> bool:
    """Whether the demo's name and password let somebody in. Costs one password's hash."""
    operator = get_user_model().objects.filter(username=NAME, is_active=True).first()
    return operator is not None and operator.check_password(PASSWORD)


def refusal() -> str:
    """What is wrong, and what to do."""
    return (
        f"The operator {NAME} still has the password {PASSWORD}, and this server is open to others "
        f"({', '.join(settings.PUBLIC_HOSTS)}): manage.py changepassword {NAME}, or remove it."
    )


def look_at_start() -> None:
    """What a web process looks at, in a thread that comes and goes with its connection.

    Raises ImproperlyConfigured."""
    try:
        refuse_unfit_server()
        refuse_demo_operator()
    finally:
        connection.close()
