"""A key of our own for tokens, for where none is listed; without Django, for the settings."""

import hashlib
import hmac


def key_of(secret: str) -> str:
    """The key that signs tokens, made of SECRET_KEY; neither tells the other."""
    return hmac.new(secret.encode(), b"polaris: tokens", hashlib.sha256).hexdigest()
