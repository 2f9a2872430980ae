"""Where Twilio tells us what became of a call."""

from typing import Any

from django.http import QueryDict
from drf_spectacular.utils import OpenApiParameter, OpenApiTypes, extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from polaris.errors import WebhookNotSigned
from polaris.serializing import BoundedFormParser
from webhooks.inbox import receive
from webhooks.signatures import check_header, check_signature


class CallStatusFields(serializers.Serializer[Any]):
    """The fields of Twilio's status callback that we read; the others are kept."""

    CallSid = serializers.CharField()
    AccountSid = serializers.CharField()
    CallStatus = serializers.CharField()
    SequenceNumber = serializers.CharField(required=False)
    Timestamp = serializers.CharField(required=False)
    CallDuration = serializers.CharField(required=False)


class CallStatusView(APIView):
    """Takes Twilio's status callbacks; the signature stands for a login."""

    authentication_classes: list[type] = []
    permission_classes = [AllowAny]
    parser_classes = [BoundedFormParser]
    metadata_class = None  # OPTIONS is refused like any other method

    @extend_schema(
        operation_id="call_status",
        request={"application/x-www-form-urlencoded": CallStatusFields},
        responses={204: None},
        parameters=[
            OpenApiParameter("attempt_id", OpenApiTypes.STR),
            OpenApiParameter(
                "X-Twilio-Signature", OpenApiTypes.STR, OpenApiParameter.HEADER, required=True
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        """Keep the webhook and move its call."""
        signature = request.headers.get("X-Twilio-Signature", "")
        check_header(signature)
        fields = request.data
        if not isinstance(fields, QueryDict):
            raise WebhookNotSigned("The webhook has no fields.")
        check_signature(
            query=request.META.get("QUERY_STRING", ""),
            fields=fields,
            signature=signature,
        )
        receive(fields, attempt_id=request.query_params.get("attempt_id", ""))
        return Response(status=204)
