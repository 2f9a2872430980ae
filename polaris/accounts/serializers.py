"""What the token endpoints take and give."""

from typing import Any

from django.contrib.auth import authenticate
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed

from polaris.accounts.models import AGENT_MAX_LENGTH, SignIn
from polaris.accounts.signing_in import begin
from polaris.serializing import StrictSerializer


class CredentialsInput(StrictSerializer):
    """A username and password, and the agent instance that the tokens are to be for."""

    username = serializers.CharField()
    password = serializers.CharField(trim_whitespace=False, style={"input_type": "password"})
    agent_instance_id = serializers.CharField(
        required=False,
        max_length=AGENT_MAX_LENGTH,
        help_text="Tokens for this agent instance alone; it must be granted to the account",
    )

    def sign_in(self, request: Any) -> Any:
        """The account. Raises AuthenticationFailed, and MustWait who has tried too often."""
        name, password = self.validated_data["username"], self.validated_data["password"]
        attempt = begin(request, username=name, door=SignIn.Door.API)
        user = authenticate(request, username=name, password=password)
        if user is None:
            attempt.failed()
            message = "No active account found with the given credentials"
            raise AuthenticationFailed(message, "no_active_account")
        attempt.succeeded()
        return user


class RefreshInput(StrictSerializer):
    """A refresh token."""

    refresh = serializers.CharField()


class TokensAnswer(serializers.Serializer[Any]):
    """A pair: the access token opens the API, the refresh token is good for the next pair."""

    refresh = serializers.CharField()
    access = serializers.CharField()


class SignedOutAnswer(serializers.Serializer[Any]):
    """That it is done."""

    status = serializers.CharField(default="success")
    message = serializers.CharField()
