"""Whose request it is: tokens of ours, or of the outside issuer where one is configured."""

from typing import Any

from django.conf import settings
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError

from polaris.access import AGENT_CLAIM
from polaris.accounts import outside_issuer
from polaris.accounts.tokens import AccessToken, account, account_of


class BearerAuthentication(JWTAuthentication):
    """`Authorization: Bearer …`. The account and the agent's grant are looked up by one query."""

    def get_validated_token(self, raw_token: bytes) -> Any:
        """The claims. Raises InvalidToken, and IssuerAway (503)."""
        try:
            if outside_issuer.is_from_outside(raw_token):
                return outside_issuer.read(raw_token)
            return AccessToken(raw_token)  # type: ignore[arg-type]
        except TokenError as error:
            raise InvalidToken(str(error)) from error

    def get_user(self, validated_token: Any) -> Any:
        """The account. Raises InvalidToken where it is closed or gone."""
        try:
            if isinstance(validated_token, AccessToken):
                return account_of(validated_token)
            name = validated_token[settings.JWT_OUTSIDE_USER_CLAIM]
            return account(username=name, agent=validated_token.get(AGENT_CLAIM))
        except TokenError as error:
            raise InvalidToken(str(error)) from error
