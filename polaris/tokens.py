"""JSON Web Tokens: where clients get and refresh them."""

from rest_framework.request import Request
from rest_framework.throttling import ScopedRateThrottle
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
