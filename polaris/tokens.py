"""JSON Web Tokens: where clients get and refresh them."""

from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import ScopedRateThrottle
from rest_framework_simplejwt.exceptions import InvalidToken
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView


class LoginThrottle(ScopedRateThrottle):
    """Counts by the peer's address, whatever a request's X-Forwarded-For says.

    Behind a proxy the server replaces that address (uvicorn's --forwarded-allow-ips)."""

    def get_ident(self, request: Request) -> str:
        """The address."""
        return str(request.META.get("REMOTE_ADDR", ""))


class TokenView(TokenObtainPairView):
    """Gives an access and a refresh token for a username and password."""

    throttle_classes = [LoginThrottle]
    throttle_scope = "login"


class RefreshView(TokenRefreshView):
    """Gives a new access token for a refresh token."""

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Refuses the token of an account that is closed or gone as it refuses any other."""
        try:
            return super().post(request, *args, **kwargs)
        except InvalidToken:
            raise
        except (AuthenticationFailed, ObjectDoesNotExist) as error:
            raise InvalidToken("The token's account is closed or gone.") from error
