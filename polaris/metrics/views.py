"""GET /metrics, for Prometheus."""

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiTypes, extend_schema
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from polaris.health.negotiation import OneForm
from polaris.metrics.authentication import BroughtToken, MetricsToken
from polaris.metrics.exposition import exposition


class MetricsView(APIView):
    """The same from every web process, for it is read from the database."""

    authentication_classes = [MetricsToken]
    permission_classes = [BroughtToken]
    renderer_classes = [JSONRenderer]  # of errors
    content_negotiation_class = OneForm

    @extend_schema(operation_id="metrics", responses={(200, "text/plain"): OpenApiTypes.STR})
    def get(self, request: Request) -> HttpResponse:
        """Figures in Prometheus's text format."""
        return HttpResponse(exposition(), content_type=CONTENT_TYPE_PLAIN_0_0_4)
