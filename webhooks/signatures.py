"""Is a webhook really from Twilio, and for us?

https://www.twilio.com/docs/usage/webhooks/webhooks-security"""

from collections.abc import Collection
from hmac import compare_digest

from django.conf import settings
from django.http import QueryDict
from twilio.request_validator import RequestValidator

from polaris.errors import WebhookNotSigned


def check_header(signature: str) -> None:
    """Raises WebhookNotSigned where nothing can be signed: before the body is looked at."""
    if not settings.TWILIO_WEBHOOK_URL or not _tokens():
        raise WebhookNotSigned("TWILIO_WEBHOOK_URL and TWILIO_AUTH_TOKEN are not set here.")
    if not signature:
        raise WebhookNotSigned("The X-Twilio-Signature header is missing.")


def check_signature(*, query: str, fields: QueryDict, signature: str) -> None:
    """Raises WebhookNotSigned unless `signature` is our account's, over our public address.

    The signed address comes from TWILIO_WEBHOOK_URL and the raw query alone: what a request says
    of its own host proves nothing."""
    check_header(signature)
    url = f"{settings.TWILIO_WEBHOOK_URL}?{query}" if query else settings.TWILIO_WEBHOOK_URL
    if not any(_is_signed_with(token, url, fields, signature) for token in _tokens()):
        raise WebhookNotSigned("The X-Twilio-Signature header is wrong.")
    if fields.get("AccountSid") != settings.TWILIO_ACCOUNT_SID:
        raise WebhookNotSigned("The webhook is of another account.", field="AccountSid")


def _tokens() -> Collection[str]:
    """The token of our own requests, then those that are rotated in or out."""
    return [
        token for token in (settings.TWILIO_AUTH_TOKEN, *settings.TWILIO_WEBHOOK_TOKENS) if token
    ]


def _is_signed_with(token: str, url: str, fields: QueryDict, signature: str) -> bool:
    validator = RequestValidator(token)
    # The SDK works out both forms of the address, with its port and without, before it compares.
    if compare_digest(validator.compute_signature(url, fields).encode(), signature.encode()):
        return True
    return bool(validator.validate(url, fields, signature))
