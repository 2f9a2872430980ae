"""Tokens of another issuer (OpenID Connect and the like): RS256, checked with its published keys.

Nothing here makes an account: a claim names one that is there. The keys are fetched when they are
needed, within bounds, and kept; who asks while they cannot be had is told to come again."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import requests
from django.conf import settings
from jwt.algorithms import RSAAlgorithm
from rest_framework_simplejwt.exceptions import TokenError

from polaris.accounts.signing_keys import header_of
from polaris.errors import IssuerAway

ALGORITHM = "RS256"
_FRESH = 600.0  # seconds that fetched keys are used without a look
_PAUSE = 30.0  # seconds between two fetches
_CONNECT, _READ, _WHOLE = 3.05, 3.0, 6.0  # seconds
_LARGEST = 256 * 1024  # bytes
_SMALLEST_KEY = 2048  # bits


def is_from_outside(raw: Any) -> bool:
    """Whether a token says that it is of the outside issuer; whether that is so is seen later."""
    if not settings.JWT_OUTSIDE_ISSUER:
        return False
    return header_of(raw).get("alg") == ALGORITHM


def read(raw: Any) -> dict[str, Any]:
    """The claims. Raises TokenError, and IssuerAway while the keys cannot be had."""
    try:
        return jwt.decode(
            raw,
            published_keys.named(header_of(raw).get("kid")),
            algorithms=[ALGORITHM],
            issuer=settings.JWT_OUTSIDE_ISSUER,
            audience=settings.JWT_OUTSIDE_AUDIENCE,
            leeway=settings.JWT_LEEWAY,
            options={"require": ["exp", "iss", "aud", settings.JWT_OUTSIDE_USER_CLAIM]},
        )
    except (jwt.InvalidTokenError, RecursionError, ValueError) as error:
        raise TokenError("The token is not one of the issuer's.") from error


class PublishedKeys:
    """The issuer's keys, as far as this process has them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        """Fetch again at the next token."""
        self._keys: dict[str, Any] = {}
        self._fetched = self._tried = float("-inf")

    def named(self, kid: Any) -> Any:
        """The key of that id. Raises TokenError where the issuer has none such, IssuerAway."""
        key = self._known(kid)
        if key is None or self._is_stale():
            self._renew(kid)
            key = self._known(kid)
        if key is None and self._fetched < self._tried:
            raise IssuerAway
        if key is None:
            raise TokenError("The token is signed by no key of the issuer's.")
        return key

    def _known(self, kid: Any) -> Any:
        return self._keys.get(kid) if isinstance(kid, str) else None

    def _is_stale(self) -> bool:
        return time.monotonic() - self._fetched > _FRESH

    def _renew(self, kid: Any) -> None:
        """At most once in `_PAUSE` seconds, whatever ids are made up. Stale keys do meanwhile."""
        with self._lock:
            waited_for = self._known(kid) is not None and not self._is_stale()
            if waited_for or time.monotonic() - self._tried < _PAUSE:
                return
            self._tried = time.monotonic()
            try:
                self._keys = dict(_keys_in(_fetch(settings.JWT_OUTSIDE_KEYS)))
            except (OSError, ValueError, RecursionError):
                return
            self._fetched = time.monotonic()


def _fetch(where: str) -> Any:
    """The document at a URL or in a file. Raises OSError or ValueError."""
    if not where.startswith(("http://", "https://")):
        return json.loads(Path(where).read_bytes()[:_LARGEST])
    ends = time.monotonic() + _WHOLE
    body = b""
    with requests.get(
        where, timeout=(_CONNECT, _READ), stream=True, allow_redirects=False
    ) as answer:
        if answer.status_code != requests.codes.ok:
            raise ValueError(answer.status_code)
        for chunk in answer.iter_content(8192):
            body += chunk
            if len(body) > _LARGEST or time.monotonic() > ends:
                raise ValueError("the answer is too long")
    return json.loads(body)


def _keys_in(document: Any) -> Iterator[tuple[str, Any]]:
    """The keys that sign by RS256; others are passed over. Raises ValueError."""
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise ValueError("there are no keys")
    for each in document["keys"]:
        if not isinstance(each, dict) or not isinstance(each.get("kid"), str):
            continue
        is_for_us = each.get("use", "sig") == "sig" and each.get("alg", ALGORITHM) == ALGORITHM
        if each.get("kty") != "RSA" or not is_for_us or "d" in each:
            continue
        try:
            key: Any = RSAAlgorithm.from_jwk(each)
        except (jwt.PyJWTError, ValueError, TypeError, KeyError):
            continue
        if key.key_size >= _SMALLEST_KEY:
            yield each["kid"], key


published_keys = PublishedKeys()
