"""Polaris's paths, and one more."""

from django.urls import include, path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication

from bench.barest.models import Wish


class BarestView(APIView):
    """Inserts one row, for whoever brings a token; checks nothing."""

    authentication_classes = [JWTAuthentication]
    throttle_classes = []

    def post(self, request: Request) -> Response:
        """Write it down."""
        wish = Wish.objects.create(
            phone=request.data["phone"], scheduled_time=request.data["scheduled_time"]
        )
        return Response({"id": wish.pk})


urlpatterns = [path("barest/", BarestView.as_view()), path("", include("polaris.urls"))]
