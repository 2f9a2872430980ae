"""Where clients get, refresh and give back tokens."""

from typing import Any

from django.contrib.auth.models import update_last_login
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError

from polaris.accounts import tokens
from polaris.accounts.grants import require_grant
from polaris.accounts.serializers import (
    CredentialsInput,
    RefreshInput,
    SignedOutAnswer,
    TokensAnswer,
)
from polaris.throttling.writes import AddressThrottle


class _OpenView(APIView):
    """For whoever has no token yet, or an old one."""

    authentication_classes: list[type] = []
    permission_classes: list[Any] = []

    def get_authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="api"'


class TokenView(_OpenView):
    """Gives an access and a refresh token for a username and password."""

    @extend_schema(request=CredentialsInput, responses={200: TokensAnswer})
    def post(self, request: Request) -> Response:
        """Sign in; with agent_instance_id, for that agent alone."""
        given = CredentialsInput(data=request.data)
        given.is_valid(raise_exception=True)
        user = given.sign_in(request)
        agent = given.validated_data.get("agent_instance_id", "")
        if agent:
            require_grant(user, agent)
        update_last_login(type(user), user)
        return _pair(tokens.issue(user=user, agent=agent))


class RefreshView(_OpenView):
    """Gives a new pair for a refresh token, which is spent."""

    throttle_classes = (AddressThrottle,)

    @extend_schema(request=RefreshInput, responses={200: TokensAnswer})
    def post(self, request: Request) -> Response:
        """Refresh: each refresh token is good for once, and a copy that is used ends them all."""
        return _pair(_read(request, tokens.rotate))


class LogoutView(_OpenView):
    """Ends the sign-in that a refresh token comes from."""

    throttle_classes = (AddressThrottle,)

    @extend_schema(request=RefreshInput, responses={200: SignedOutAnswer})
    def post(self, request: Request) -> Response:
        """Sign out; access tokens that are out run on to their end, a few minutes."""
        _read(request, tokens.end)
        return Response({"status": "success", "message": "Signed out successfully"})


def _read(request: Request, act: Any) -> Any:
    given = RefreshInput(data=request.data)
    given.is_valid(raise_exception=True)
    try:
        return act(given.validated_data["refresh"])
    except TokenError as error:
        raise InvalidToken(str(error)) from error


def _pair(refresh: tokens.RefreshToken) -> Response:
    return Response({"refresh": str(refresh), "access": str(refresh.access_token)})
