"""How a webhook of ours is signed (Standard Webhooks 1.0.0), and what makes a secret for it."""

import base64
import binascii
from datetime import datetime

from standardwebhooks import Webhook

WANTED = (
    "NOTIFY_WEBHOOK_URL is set, so NOTIFY_WEBHOOK_SECRET must be whsec_ followed by 24 to 64 "
    "random bytes in base64."
)

_PREFIX = "whsec_"


def is_signing_secret(secret: str) -> bool:
    """Whether `secret` is 24 to 64 bytes in strict base64, with or without `whsec_` before it.

    Stricter than the library, which drops characters that it does not know."""
    body = secret.removeprefix(_PREFIX)
    try:
        key = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False
    return 24 <= len(key) <= 64


def signature_headers(
    body: str, *, secret: str, message_id: str, sent_at: datetime
) -> dict[str, str]:
    """The three headers that prove where `body` comes from; `sent_at` is in UTC.

    `message_id` stays the same at every attempt, `sent_at` does not."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, sent_at, body),
    }
