"""How a key is written: 32 random bytes in URL-safe Base64."""

import base64
import binascii

KEY_BYTES = 32


def is_key(text: str) -> bool:
    """Whether it is such a key."""
    try:
        return len(decode(text)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False


def decode(text: str) -> bytes:
    """The bytes of a key, with or without Base64's padding."""
    bare = text.rstrip("=")
    return base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
