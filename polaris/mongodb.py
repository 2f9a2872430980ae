"""MongoDB as the database: what changes in the settings where MONGODB_URL is set.

docs/mongodb.md says what it needs and what is missing there."""

import re
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

from polaris.environment import require

ENGINE = "django_mongodb_backend"
AUTO_FIELD = "django_mongodb_backend.fields.ObjectIdAutoField"

# Third-party apps with counted keys, which MongoDB does not have: each with a configuration and a
# set of migrations of its own. Everything else runs unchanged.
_CONFIGS = {
    "django.contrib.admin": "polaris.mongodb_apps.AdminConfig",
    "django.contrib.auth": "polaris.mongodb_apps.AuthConfig",
    "django.contrib.contenttypes": "polaris.mongodb_apps.ContentTypesConfig",
    "django_apscheduler": "polaris.mongodb_apps.DjangoApschedulerConfig",
}
MIGRATION_MODULES = {
    label: f"polaris.mongodb_migrations.{label}"
    for label in ("admin", "auth", "contenttypes", "django_apscheduler", "token_blacklist")
}

# Nobody waits half a minute, the driver's default, for a server that has gone.
_PATIENCE = {"serverSelectionTimeoutMS": 3000, "connectTimeoutMS": 3000}
_LOST = "what one server alone has may be lost, or be out of date, and a call be placed twice."
_READ = "the back end reads times without a zone, and fails at any others."
# What the address may say of an option, and why nothing else. A ledger row must outlive the server
# that it was written to, and be seen by whoever reads next.
_ONLY: dict[str, tuple[tuple[str, ...], str]] = {
    "w": (("majority",), _LOST),
    "journal": (("true",), _LOST),
    "readPreference": (("primary",), _LOST),
    "readConcernLevel": (
        ("local", "majority"),
        "no transaction takes available or linearizable, and snapshot has not been tried.",
    ),
    "timeoutMS": ((), "of a write that is broken off nobody knows whether it holds."),
    "tz_aware": (("false",), _READ),
    "datetime_conversion": (("datetime",), _READ),
}
NOT_TAKEN = "MONGODB_URL holds what the driver does not take."
# What MongoDB itself allows is a little more; these need no quoting anywhere.
_DATABASE_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}", re.ASCII)


def database(url: str, name: str, *, database_url: str) -> dict[str, Any]:
    """Django's settings of the database `name` at `url`.

    Raises ImproperlyConfigured; no message shows the URL, which may hold a password."""
    require(not database_url, "DATABASE_URL and MONGODB_URL are both set: unset one of them.")
    require(_is_mongodb_url(url), "MONGODB_URL must be a mongodb:// or mongodb+srv:// address.")
    require(
        _DATABASE_NAME.fullmatch(name),
        f"DATABASE_NAME is {name!r}, but must be up to 63 letters, digits, - or _.",
    )
    require(
        find_spec(ENGINE),
        "MONGODB_URL is set, but django-mongodb-backend is not installed: "
        "pip install -r requirements-optional.txt",
    )
    given = _options(url)
    for option, (allowed, why) in _ONLY.items():
        require(
            option not in given or given[option] in allowed,
            f"MONGODB_URL must say {_in_words(option, allowed)}: {why}",
        )
    more = {option: value for option, value in _PATIENCE.items() if option not in given}
    return {"ENGINE": ENGINE, "HOST": url, "NAME": name, "OPTIONS": more | {"w": "majority"}}


def installed_apps(apps: Iterable[str]) -> list[str]:
    """`apps`, those with counted keys in their MongoDB dress, and the back end itself."""
    return [*(_CONFIGS.get(app, app) for app in apps), "polaris.mongodb_apps.BackendConfig"]


def _options(url: str) -> Mapping[str, Any]:
    """As the driver reads them, capital letters or not; it asks no server and opens no file."""
    from pymongo.errors import InvalidURI  # noqa: PLC0415 (optional)
    from pymongo.uri_parser import split_options  # noqa: PLC0415 (optional)

    query = url.partition("?")[2]
    try:
        given = split_options(query, validate=False, normalize=False) if query else {}
    except InvalidURI as error:
        raise ImproperlyConfigured(NOT_TAKEN) from error
    # That is the rest of a password with a question mark, which the driver would warn of, and show.
    require(not any("@" in name for name in given), NOT_TAKEN)
    return given


def _in_words(option: str, allowed: tuple[str, ...]) -> str:
    """No value that was given is shown: behind a question mark in a password it is a part of it."""
    if not allowed:
        return f"nothing of {option}"
    return f"{option}={' or '.join(allowed)}, or nothing of it"


def _is_mongodb_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"mongodb", "mongodb+srv"} and bool(parts.netloc.rpartition("@")[2])
