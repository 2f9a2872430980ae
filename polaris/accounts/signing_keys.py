"""The keys that sign our tokens: the newest signs, all that are listed are believed."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any

import jwt
from django.conf import settings
from jwt.utils import base64url_decode
from rest_framework_simplejwt.exceptions import TokenBackendError, TokenBackendExpiredToken

ALGORITHM = "HS256"
_REQUIRED = ["exp", "iat", "jti"]


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret, and the `kid` by which a token's header names it."""

    secret: str
    id: str


class KeyRing:
    """Signs and reads tokens. The backend of our token classes, as simplejwt calls it."""

    def __init__(self, secrets: Sequence[str], leeway: timedelta) -> None:
        self._keys = {key.id: key for key in map(_named, secrets)}
        self._newest = _named(secrets[0])
        self._leeway = leeway

    def encode(self, payload: dict[str, Any]) -> str:
        """Signed by the newest key, whose id is in the header."""
        headers = {"kid": self._newest.id}
        return jwt.encode(payload, self._newest.secret, algorithm=ALGORITHM, headers=headers)

    def decode(self, token: Any, verify: bool = True) -> dict[str, Any]:
        """The claims. Raises TokenBackendError for what no listed key has signed by HS256."""
        try:
            key = self._keys[str(header_of(token).get("kid"))]
            return jwt.decode(
                token,
                key.secret,
                algorithms=[ALGORITHM],
                leeway=self._leeway,
                options={"require": _REQUIRED, "verify_signature": verify},
            )
        except KeyError as error:
            raise TokenBackendError("The token is signed by no key of ours.") from error
        except jwt.ExpiredSignatureError as error:
            raise TokenBackendExpiredToken("The token has expired.") from error
        except (jwt.InvalidTokenError, RecursionError, ValueError) as error:
            raise TokenBackendError("The token is invalid.") from error

    def get_leeway(self) -> timedelta:
        """By how much clocks may differ."""
        return self._leeway


def header_of(token: str | bytes) -> dict[str, Any]:
    """What a token says of itself, not yet checked; nothing where it is none.

    Only that part is read: jwt.get_unverified_header takes the whole token apart, which is done
    once more to check it."""
    try:
        raw = token.encode() if isinstance(token, str) else token
        header = json.loads(base64url_decode(raw.partition(b".")[0]))
    except (ValueError, RecursionError):
        return {}
    return header if isinstance(header, dict) else {}


def keys_in_use() -> KeyRing:
    """Those of the settings."""
    return _ring(tuple(settings.JWT_SIGNING_KEYS), settings.JWT_LEEWAY)


@lru_cache(maxsize=8)
def _ring(secrets: tuple[str, ...], leeway: timedelta) -> KeyRing:
    return KeyRing(secrets, leeway)


def _named(secret: str) -> SigningKey:
    return SigningKey(secret, hashlib.sha256(b"kid:" + secret.encode()).hexdigest()[:12])
