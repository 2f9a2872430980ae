"""Forgets what is over: tokens and sessions that have expired, counts, old attempts to sign in."""

from django.contrib.sessions.backends.db import SessionStore

from polaris.accounts import signing_in, tokens
from polaris.throttling import counting


def prune() -> None:
    """Repeating it is harmless."""
    tokens.prune()
    SessionStore.clear_expired()
    counting.prune()
    signing_in.prune()
