"""Reads and checks the environment: a wrong value stops the start with one clear line."""

import re
import string
from collections.abc import Callable, Collection
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import environ
from django.core.exceptions import ImproperlyConfigured

from polaris.privacy.key_format import is_key
from polaris.throttling.limits import Limit

Value = TypeVar("Value")

_RATE = re.compile(r"[1-9][0-9]{0,8}/(s|sec|second|m|min|minute|h|hour|d|day)")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_ACCOUNT = re.compile(r"AC[0-9a-fA-F]{32}")
_ADDRESS = re.compile(r"[^@\s,]+@[^@\s,]+")
_HOST = re.compile(r"\*|\.?[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SHORTEST_KEY = 32
_THIS_MACHINE = {"localhost", "127.0.0.1", "::1"}
# Names of the time zone database that are no places.
_NO_ZONES = {"Factory", "localtime", "posixrules"}


class Environment:
    """Variables of the process, or of the `.env` file where the process does not set them."""

    def __init__(self, file: Path) -> None:
        self._env = environ.Env()
        if file.is_file():
            environ.Env.read_env(str(file))

    def text(self, name: str, default: str = "") -> str:
        """A string; blank counts as not set."""
        return str(self._env.str(name, default=default)).strip() or default

    def flag(self, name: str, *, default: bool) -> bool:
        """True or false."""
        raw = self.text(name).lower()
        if raw in {"", "1", "true", "yes", "on", "0", "false", "no", "off"}:
            return default if not raw else raw in {"1", "true", "yes", "on"}
        raise _wrong(name, raw, "true or false")

    def words(self, name: str, default: Collection[str] = ()) -> list[str]:
        """A comma-separated list."""
        raw = self.text(name)
        return [word.strip() for word in raw.split(",") if word.strip()] if raw else list(default)

    def whole(self, name: str, default: int, *, at_least: int, at_most: int) -> int:
        """A whole number within bounds."""
        return int(self._number(name, default, int, at_least, at_most, "a whole number"))

    def decimal(self, name: str, default: float, *, at_least: float, at_most: float) -> float:
        """A number within bounds."""
        return self._number(name, default, float, at_least, at_most, "a number")

    def zone(self, name: str, default: str) -> str:
        """The name of an IANA time zone."""
        raw = self.text(name, default)
        if raw not in available_timezones() - _NO_ZONES:
            raise _wrong(name, raw, "an IANA time zone such as UTC or Europe/Berlin")
        return raw

    def url(self, name: str, default: str = "", *, bare: bool = False) -> str:
        """An http(s) URL; a `bare` one has neither query nor fragment."""
        raw = self.text(name, default)
        if raw and not _is_http_url(raw):
            raise _wrong(name, raw, "a full http:// or https:// address")
        if raw and bare and ("?" in raw or "#" in raw):
            raise _wrong(name, raw, "an address without a query or fragment")
        return raw

    def template_url(self, name: str, placeholders: Collection[str]) -> str:
        """A URL that may hold some of `placeholders` in braces."""
        raw = self.url(name)
        allowed = ", ".join(f"{{{word}}}" for word in sorted(placeholders))
        try:
            used = {word for _, word, _, _ in string.Formatter().parse(raw) if word is not None}
        except ValueError as error:
            raise _wrong(name, raw, f"an address whose braces are {allowed}") from error
        plain = all(
            not spec and not conversion for _, _, spec, conversion in string.Formatter().parse(raw)
        )
        if not plain or not used <= set(placeholders):
            raise _wrong(name, raw, f"an address whose braces are {allowed}")
        return raw

    def account(self, name: str) -> str:
        """The SID of a Twilio account."""
        raw = self.text(name)
        if raw and not _ACCOUNT.fullmatch(raw):
            raise _wrong(name, raw, "AC and 32 hexadecimal digits")
        return raw

    def keys(self, name: str, default: str = "") -> tuple[str, ...]:
        """Comma-separated keys, each 32 random bytes in URL-safe Base64; none is ever shown."""
        found = tuple(self.words(name)) or ((default,) if default else ())
        require(found, f"{name} is not set: put a random key into .env (bin/setup does).")
        for place, key in enumerate(found, 1):
            require(
                is_key(key),
                f"{name} is wrong: its key {place} is not 32 bytes in URL-safe Base64.",
            )
        return found

    def addresses(self, name: str) -> list[str]:
        """Comma-separated e-mail addresses."""
        found = self.words(name)
        for address in found:
            if not _ADDRESS.fullmatch(address):
                raise _wrong(name, address, "a comma-separated list of e-mail addresses")
        return found

    def hosts(self, name: str, default: Collection[str]) -> list[str]:
        """Comma-separated host names, without scheme, port or path."""
        found = self.words(name, default)
        for host in found:
            if not _HOST.fullmatch(host):
                raise _wrong(name, host, "a comma-separated list of host names")
        return found

    def networks(self, name: str, default: Collection[str]) -> list[str]:
        """Comma-separated IP addresses and networks, such as 10.0.0.0/8; `none` is none."""
        found = self.words(name, default)
        if [word.lower() for word in found] == ["none"]:
            return []
        for network in found:
            try:
                ip_network(network)
            except ValueError as error:
                expected = "a comma-separated list of IP addresses and networks, or none"
                raise _wrong(name, network, expected) from error
        return found

    def phone(self, name: str) -> str:
        """A phone number in E.164."""
        raw = self.text(name)
        if raw and not _E164.fullmatch(raw):
            raise _wrong(name, raw, "a phone number in E.164, such as +15005550006")
        return raw

    def limit(self, name: str, default: str) -> Limit | None:
        """A number of requests in a span of time; None, written 0, where there is no limit."""
        raw = self.text(name, default)
        if raw == "0":
            return None
        if not _RATE.fullmatch(raw):
            raise _wrong(name, raw, "a rate such as 30/min (second, min, hour or day), or 0")
        number, _, unit = raw.partition("/")
        return Limit(int(number), _SECONDS[unit[0]])

    def secrets(self, name: str) -> list[str]:
        """Comma-separated secrets; no message shows one."""
        found = self.words(name)
        hidden = f"{len(found)} keys" if len(found) != 1 else "one key"
        if any(len(key) < _SHORTEST_KEY for key in found) or len(set(found)) < len(found):
            expected = f"different keys of at least {_SHORTEST_KEY} characters"
            raise _wrong(name, hidden, expected)
        return found

    def document(self, name: str) -> str:
        """A file that is there, or an address: https, or http on this machine."""
        raw = self.text(name)
        parts = urlsplit(raw) if _is_http_url(raw) else None
        if parts and (parts.scheme == "https" or parts.hostname in _THIS_MACHINE):
            return raw
        if raw and (parts or not Path(raw).is_file()):
            raise _wrong(name, _without_password(raw), "an https:// address or a file")
        return raw

    def choice(self, name: str, default: str, choices: Collection[str]) -> str:
        """One of a few words."""
        raw = self.text(name, default)
        if raw not in choices:
            raise _wrong(name, raw, " or ".join(sorted(choices)))
        return raw

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Django's settings of an SQLite or PostgreSQL database, from its URL."""
        raw = self.text(name, default)
        if urlsplit(raw).scheme not in {"sqlite", "postgres", "postgresql"}:
            raise _wrong(name, _without_password(raw), "a sqlite:/// or postgres:// address")
        try:
            return dict(environ.Env.db_url_config(raw))
        except Exception as error:
            raise _wrong(name, _without_password(raw), "a sqlite:/// or postgres:// one") from error

    def broker(self, name: str) -> str:
        """The address of a Redis server; no message shows its password."""
        raw = self.text(name)
        if raw and not (_is_url(raw, {"redis", "rediss"}) and _names_a_number(raw)):
            expected = "a redis:// or rediss:// address, with a number for its database"
            raise _wrong(name, _without_password(raw), expected)
        return raw

    def email(self, name: str, default: str) -> dict[str, Any]:
        """Django's e-mail settings, from a URL such as smtp+tls://user:password@host:587."""
        raw = self.text(name, default)
        try:
            return dict(environ.Env.email_url_config(raw))
        except Exception as error:
            shown = _without_password(raw)
            raise _wrong(name, shown, "an address such as smtp://host:25") from error

    def _number(
        self,
        name: str,
        default: float,
        convert: Callable[[str], float],
        at_least: float,
        at_most: float,
        kind: str,
    ) -> float:
        raw = self.text(name, str(default))
        expected = f"{kind} from {at_least:g} to {at_most:g}"
        try:
            number = convert(raw)
        except ValueError as error:
            raise _wrong(name, raw, expected) from error
        if not at_least <= number <= at_most:
            raise _wrong(name, raw, expected)
        return number


def require(condition: object, message: str) -> None:
    """Stop the start with `message` unless `condition` holds."""
    if not condition:
        raise ImproperlyConfigured(message)


def require_celery(broker_url: str) -> None:
    """Stop the start where SCHEDULER_EXECUTOR is celery, and Celery could not be used."""
    require(broker_url, "SCHEDULER_EXECUTOR is celery, but CELERY_BROKER_URL is not set.")
    require(
        find_spec("celery") and find_spec("redis"),
        "SCHEDULER_EXECUTOR is celery, but celery[redis] is not installed: "
        "pip install -r requirements-optional.txt",
    )


def make_folder(name: str, file: Path) -> None:
    """The folder of an SQLite file. Stops the start where it cannot be made or is none."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _wrong(name, str(file), "a file in a folder that can be written") from error
    if file.is_dir():
        raise _wrong(name, str(file), "a file, not a folder")


def _wrong(name: str, raw: str, expected: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} is {raw!r}, but must be {expected}.")


def _is_http_url(raw: str) -> bool:
    return _is_url(raw, {"http", "https"})


def _is_url(raw: str, schemes: Collection[str]) -> bool:
    try:
        parts = urlsplit(raw)
        is_whole = bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", raw)
        return parts.scheme in schemes and is_whole
    except ValueError:
        return False


def _names_a_number(address: str) -> bool:
    """Redis's databases are numbered; none is named where it is the first."""
    return bool(re.fullmatch(r"/?|/[0-9]{1,6}", urlsplit(address).path))


def _without_password(raw: str) -> str:
    return re.sub(r"//[^@/]*@", "//…@", raw)
