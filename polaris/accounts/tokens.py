"""Our tokens: issued for a sign-in, rotated at each refresh, and ended with it.

A refresh token is good for one refresh. Used again, somebody has a copy of it: all that descends
from its sign-in, its family, is refused from then on."""

import hashlib
import hmac
from contextlib import suppress
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError
from django.utils import timezone
from rest_framework_simplejwt import tokens as simplejwt
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.utils import datetime_from_epoch

from polaris.access import AGENT_CLAIM
from polaris.accounts.signing_keys import keys_in_use
from polaris.audit.accounts import record_sign_out, record_token
from polaris.database import atomic
from polaris.repeating import repeated

_LONGEST = 256
_USER, _FAMILY, _PASSWORD = "user_id", "family", "pwd"


class AccessToken(simplejwt.AccessToken):
    """Opens the API for a few minutes."""

    @property
    def token_backend(self) -> Any:
        return keys_in_use()


class RefreshToken(simplejwt.RefreshToken):
    """Good for one refresh, or for signing out."""

    access_token_class = AccessToken
    no_copy_claims: Any = (*simplejwt.RefreshToken.no_copy_claims, _FAMILY)

    @property
    def token_backend(self) -> Any:
        return keys_in_use()

    def check_blacklist(self) -> None:
        """Nothing: whoever spends it finds out, in the same step as everybody else who tries."""


@repeated
def issue(*, user: Any, agent: str = "", family: str = "") -> RefreshToken:
    """A refresh token for `user`, and for one agent instance where it names one.

    What the database keeps of it opens nothing: its id, and its family in place of the token."""
    refresh = RefreshToken()
    refresh[_USER] = str(user.pk)
    refresh[_PASSWORD] = _fingerprint(user)
    refresh[_FAMILY] = family or refresh["jti"]
    if agent:
        refresh[AGENT_CLAIM] = agent
    with atomic():
        OutstandingToken.objects.create(
            user=user,
            jti=refresh["jti"],
            token=refresh[_FAMILY],
            created_at=refresh.current_time,
            expires_at=datetime_from_epoch(refresh["exp"]),
        )
        record_token(user, agent)
    return refresh


def rotate(raw: str) -> RefreshToken:
    """The next refresh token of a family; the one that is given is spent.

    Raises TokenError where it is not ours, has been spent before, or where its account or the
    agent's grant is gone."""
    spent = RefreshToken(raw)  # type: ignore[arg-type]
    user = account_of(spent)
    try:
        return _exchange(spent, user)
    except IntegrityError as error:
        _end_family(spent, user, "A refresh token was used twice.")
        raise TokenError("The token has been used before; sign in again.") from error


@repeated
def _exchange(spent: RefreshToken, user: Any) -> RefreshToken:
    with atomic():
        _spend(spent)
        return issue(user=user, agent=spent.get(AGENT_CLAIM, ""), family=spent[_FAMILY])


def end(raw: str) -> None:
    """Sign out: no token of the family is good for a refresh any more. Raises TokenError."""
    token = RefreshToken(raw)  # type: ignore[arg-type]
    user = get_user_model()._default_manager.filter(pk=token[_USER]).first()
    is_good = any(each.jti == token["jti"] for each in _unspent(token))
    _end_family(token, user, "Signed out.")
    if not is_good:
        raise TokenError("The token has been used before.")


def account_of(token: Any) -> Any:
    """The account that a token of ours stands for, in one query. Raises TokenError where it is
    closed or gone, has another password since, or may act for the token's agent no more."""
    user = account(pk=token.get(_USER), agent=token.get(AGENT_CLAIM))
    if not hmac.compare_digest(str(token.get(_PASSWORD)), _fingerprint(user)):
        raise TokenError("The account's password has been changed.")
    return user


def account(*, agent: Any = None, **named: Any) -> Any:
    """An account that may be used, and for that agent instance where one is named.

    What tokens say is no more than JSON: each must be a text that a database can look for."""
    if not all(_is_text(value) for value in (*named.values(), *([agent] * (agent is not None)))):
        raise TokenError("The token names no account.")
    try:
        users = get_user_model()._default_manager.filter(is_active=True, **named)
        if agent is not None:
            users = users.filter(agent_grants__agent_instance_id=agent)
        user = users.first()
    except ValueError as error:  # a key that is none on this database
        raise TokenError("The token names no account.") from error
    if user is None:
        raise TokenError("The token's account or its agent's grant is gone.")
    return user


def prune() -> None:
    """Forget tokens that have expired."""
    over = timezone.now() - keys_in_use().get_leeway()
    OutstandingToken.objects.filter(expires_at__lt=over).delete()


def _spend(token: RefreshToken) -> None:
    """Blacklist it. Raises IntegrityError where somebody has been quicker."""
    known = OutstandingToken.objects.filter(jti=token["jti"]).first()
    if known is None:
        raise TokenError("The token is not known any more.")
    BlacklistedToken.objects.create(token=known)


def _end_family(token: RefreshToken, user: Any, reason: str) -> None:
    """Spend whatever is left of a family, and write it down once, where something was left.

    Who refreshes meanwhile has made another one by then: it is looked for again."""
    has_ended = False
    while left := _unspent(token):
        for each in left:
            with suppress(IntegrityError):  # it may have been spent meanwhile
                _spend_unused(each, user, "" if has_ended else reason)
                has_ended = True


@repeated
def _spend_unused(token: OutstandingToken, user: Any, reason: str) -> None:
    with atomic():
        BlacklistedToken.objects.create(token=token)
        if reason:
            record_sign_out(user, reason)


def _unspent(token: RefreshToken) -> list[OutstandingToken]:
    """What of a token's family is still good."""
    family = list(OutstandingToken.objects.filter(user=token[_USER], token=token.get(_FAMILY)))
    # Read after it: whoever has refreshed meanwhile has spent one of these, and it is found out.
    spent = set(BlacklistedToken.objects.filter(token__in=family).values_list("token", flat=True))
    return [each for each in family if each.pk not in spent]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST and value.isprintable()


def _fingerprint(user: Any) -> str:
    """Of the stored password: a token ends with the password that it was given for."""
    return hmac.new(b"polaris: password", user.password.encode(), hashlib.sha256).hexdigest()[:16]
