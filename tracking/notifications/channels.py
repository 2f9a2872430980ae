"""Channels: the ways a message can go out, each one class, named in NOTIFICATION_CHANNELS."""

import json
from abc import ABC, abstractmethod
from datetime import timedelta
from email.utils import parseaddr, parsedate_to_datetime
from smtplib import SMTPException
from typing import ClassVar

import requests
from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import timezone
from django.utils.module_loading import import_string

from polaris.moments import show_utc
from tracking.models import Notification
from tracking.notifications import outgoing
from tracking.notifications.signing import signature_headers
from tracking.notifications.wording import body_of, subject_of


class DeliveryFailed(Exception):
    """A message has not reached its receiver.

    `reason` is a sentence for the operator, without phone numbers, addresses or secrets;
    `permanent` means that no later attempt can succeed; `retry_after` is the receiver's wish."""

    def __init__(
        self, reason: str, *, permanent: bool = False, retry_after: timedelta | None = None
    ) -> None:
        self.reason = reason
        self.permanent = permanent
        self.retry_after = retry_after
        super().__init__(reason)


class Channel(ABC):
    """A way to tell somebody of an event."""

    name: ClassVar[str]

    @abstractmethod
    def is_configured(self) -> bool:
        """Whether there is a receiver; without one, no message is written for this channel.

        Asked inside the publisher's transaction: look at settings, and nothing slower."""

    @abstractmethod
    def deliver(self, notification: Notification) -> None:
        """Hand the message over, waiting for no answer without a limit. Raises DeliveryFailed."""


def configured_channels() -> list[Channel]:
    """The channels that have a receiver, in the setting's order."""
    channels: list[Channel] = [import_string(path)() for path in settings.NOTIFICATION_CHANNELS]
    return [channel for channel in channels if channel.is_configured()]


class EmailChannel(Channel):
    """Plain text to NOTIFY_EMAIL_TO, through Django's mail (EMAIL_URL)."""

    name = "email"

    def is_configured(self) -> bool:
        """Whether there is anybody to write to."""
        return bool(settings.NOTIFY_EMAIL_TO)

    def deliver(self, notification: Notification) -> None:
        """Send one mail to all receivers. Raises DeliveryFailed."""
        mail = EmailMessage(
            subject=subject_of(notification),
            body=body_of(notification),
            to=settings.NOTIFY_EMAIL_TO,
            headers=_mail_headers(notification),
        )
        try:
            mail.send()
        except (SMTPException, OSError) as error:
            raise DeliveryFailed(_mail_trouble(error)) from error


class WebhookChannel(Channel):
    """A signed POST to NOTIFY_WEBHOOK_URL: https://www.standardwebhooks.com, version 1.0.0."""

    name = "webhook"
    # Seconds to connect, and to wait for the answer; the standard advises 15 to 30.
    limits = (3.05, 15.0)
    # Seconds for all of it, however slowly the answer drips.
    longest = 30.0

    def is_configured(self) -> bool:
        """Whether there is an address."""
        return bool(settings.NOTIFY_WEBHOOK_URL)

    def deliver(self, notification: Notification) -> None:
        """Post the event; the answer's body is not read. Raises DeliveryFailed."""
        body = _webhook_body(notification)
        try:
            with outgoing.post(
                settings.NOTIFY_WEBHOOK_URL,
                body=body.encode(),
                headers=_webhook_headers(notification, body),
                timeout=self.limits,
                within=self.longest,
                allow_private=settings.NOTIFY_WEBHOOK_PRIVATE,
            ) as response:
                _judge(response)
        except outgoing.AddressNotAllowed as error:
            raise DeliveryFailed("The receiver's address is not a public one.") from error
        except requests.RequestException as error:
            raise DeliveryFailed(_webhook_trouble(error)) from error


def _mail_headers(notification: Notification) -> dict[str, str]:
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
    return {
        # The same at every attempt, so that a mailbox can drop a second copy.
        "Message-ID": f"<{notification.event_id}@{domain}>",
        # No answer from a holiday, please (RFC 3834).
        "Auto-Submitted": "auto-generated",
    }


def _mail_trouble(error: Exception) -> str:
    code = getattr(error, "smtp_code", None)
    if code is not None:
        return f"The mail server refused the mail with {code}."
    if isinstance(error, TimeoutError):
        return "The mail server did not answer in time."
    return f"The mail server did not take the mail ({type(error).__name__})."


def _webhook_body(notification: Notification) -> str:
    message = {
        "type": notification.event,
        "timestamp": show_utc(notification.created_at),
        "data": notification.payload,
    }
    return json.dumps(message, separators=(",", ":"))


def _webhook_headers(notification: Notification, body: str) -> dict[str, str]:
    signed = signature_headers(
        body,
        secret=settings.NOTIFY_WEBHOOK_SECRET,
        message_id=notification.event_id,
        sent_at=timezone.now(),
    )
    return {"Content-Type": "application/json", "User-Agent": "Polaris"} | signed


def _judge(response: requests.Response) -> None:
    """Only a 2xx is a success, and only 410 (Gone) is for ever: whatever else is wrong with a
    receiver can be put right within the day that the attempts last."""
    status = response.status_code
    if 200 <= status < 300:
        return
    said = f"The receiver answered {status}"
    if 300 <= status < 400:
        raise DeliveryFailed(f"{said}; redirects are not followed.")
    if status == 410:
        raise DeliveryFailed(f"{said}: it wants no more webhooks.", permanent=True)
    raise DeliveryFailed(f"{said}.", retry_after=_retry_after(response))


def _retry_after(response: requests.Response) -> timedelta | None:
    """The header Retry-After, in seconds or as a date (RFC 9110, 10.2.3)."""
    raw = response.headers.get("Retry-After", "").strip()
    try:
        if raw.isdecimal():
            return timedelta(seconds=int(raw))
        return parsedate_to_datetime(raw) - timezone.now()
    except (ValueError, TypeError, OverflowError):
        return None


def _webhook_trouble(error: requests.RequestException) -> str:
    if isinstance(error, requests.ConnectTimeout):
        return "The receiver could not be reached in time."
    if isinstance(error, requests.Timeout):
        return "The receiver did not answer in time."
    if isinstance(error, requests.exceptions.SSLError):
        return "No secure connection to the receiver could be made."
    if isinstance(error, requests.ConnectionError):
        return "The receiver could not be reached, or hung up."
    return f"The request could not be made ({type(error).__name__})."
