"""The keys that seal what is kept, and the one under which numbers are looked up."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from polaris.privacy.key_format import decode


@dataclass(frozen=True, slots=True)
class Keyring:
    """The ciphers by the names of their keys; what is written is sealed with the newest."""

    newest: str
    ciphers: dict[str, AESGCM]


def keyring() -> Keyring:
    """The ring of ENCRYPTION_KEYS."""
    return _ring(tuple(settings.ENCRYPTION_KEYS))


def lookup_keys() -> tuple[bytes, ...]:
    """LOOKUP_KEYS, the newest first: numbers are hashed with that one."""
    return _raw(tuple(settings.LOOKUP_KEYS))


def fingerprint(key: bytes) -> str:
    """A name for a key that tells nothing of it."""
    return hashlib.sha256(b"polaris key name" + key).hexdigest()[:8]


@lru_cache(maxsize=8)
def _ring(keys: tuple[str, ...]) -> Keyring:
    named = {fingerprint(key): AESGCM(key) for key in _raw(keys)}
    return Keyring(next(iter(named)), named)


@lru_cache(maxsize=8)
def _raw(keys: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(decode(key) for key in keys)
