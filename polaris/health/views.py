"""GET /health/live and /health/ready: for load balancers and supervisors, without a token."""

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from polaris.errors import NotReady
from polaris.health.migrations_state import are_migrations_applied
from polaris.health.negotiation import OneForm


class Liveness(serializers.Serializer[Any]):
    """The process answers."""

    status = serializers.ChoiceField(["live"])


class Readiness(serializers.Serializer[Any]):
    """The process can do its work; `dialling` tells of the gate, and makes nothing unready."""

    status = serializers.ChoiceField(["ready"])
    database = serializers.ChoiceField(["reachable"])
    migrations = serializers.ChoiceField(["applied"])
    dialling = serializers.ChoiceField(["on", "stopped"])


class _Probe(APIView):
    """Asked often and by anybody: it tells nothing that is secret, and costs a query at most."""

    authentication_classes: list[type] = []
    permission_classes = [AllowAny]
    throttle_classes: list[Any] = []
    renderer_classes = [JSONRenderer]
    content_negotiation_class = OneForm


class LiveView(_Probe):
    """Does not ask the database: a process without one must not be restarted for it."""

    @extend_schema(operation_id="health_live", responses=Liveness)
    def get(self, request: Request) -> Response:
        """Whether the process answers."""
        return Response({"status": "live"})


class ReadyView(_Probe):
    """Whoever is not ready is sent no requests."""

    @extend_schema(operation_id="health_ready", responses=Readiness)
    def get(self, request: Request) -> Response:
        """Whether requests can be taken: the database is reachable and has our tables."""
        if not are_migrations_applied():
            raise NotReady
        is_open = import_string(settings.IS_DIALLING)()
        told = {"status": "ready", "database": "reachable", "migrations": "applied"}
        return Response(told | {"dialling": "on" if is_open else "stopped"})
