"""Seals text for the database, and hashes numbers so that equal ones can be found.

A sealed text is `enc1.<name of its key>.<Base64 of nonce and AES-256-GCM's output>`. What does not
begin so was never sealed, and is read as it is.
"""

import hmac
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag

from polaris.errors import Unreadable
from polaris.privacy.keys import keyring, lookup_keys

_MARK = "enc1."
_NAME_ENDS = len(_MARK) + 8
_NONCE = 12


def seal(text: str) -> str:
    """`text` under the newest key; an empty one stays empty."""
    if not text:
        return text
    ring, nonce = keyring(), os.urandom(_NONCE)
    sealed = ring.ciphers[ring.newest].encrypt(nonce, text.encode(), None)
    return f"{_MARK}{ring.newest}.{urlsafe_b64encode(nonce + sealed).decode()}"


def unseal(stored: str) -> str:
    """The text that was sealed. Raises Unreadable where its key is missing or it is damaged."""
    if not is_sealed(stored):
        return stored
    name = stored[len(_MARK) : _NAME_ENDS]
    cipher = keyring().ciphers.get(name)
    if cipher is None:
        raise Unreadable(f"It is sealed with the key {name}, which is not in ENCRYPTION_KEYS.")
    try:
        sealed = urlsafe_b64decode(stored[_NAME_ENDS + 1 :])
        return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], None).decode()
    except (InvalidTag, ValueError) as error:
        raise Unreadable(f"It is damaged, or was not sealed with the key {name}.") from error


def is_sealed(stored: str) -> bool:
    """Whether a stored text is sealed at all."""
    return stored.startswith(_MARK)


def newest_mark() -> str:
    """What every text begins with that is sealed with the newest key."""
    return f"{_MARK}{keyring().newest}."


def lookup_of(number: str) -> str:
    """What a number is found by: its HMAC-SHA-256 under the newest of LOOKUP_KEYS."""
    return _hashed(number, lookup_keys()[0]) if number else ""


def lookups_of(number: str) -> list[str]:
    """What a number may be found by while LOOKUP_KEYS are being changed."""
    return [_hashed(number, key) for key in lookup_keys()] if number else []


def _hashed(number: str, key: bytes) -> str:
    return urlsafe_b64encode(hmac.digest(key, number.encode(), "sha256")).decode().rstrip("=")
