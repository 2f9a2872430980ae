"""An id for every request: the client's or ours, in its answer, the log and the audit."""

import logging
import re
from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from polaris.audit.acting import request_id, serving
from polaris.ids import new_id
from polaris.masking import mask_numbers

HEADER = "X-Request-ID"
# What can stand in a log line and a URL without being mistaken for something else.
_SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,64}", re.ASCII)


class RequestIdMiddleware:
    """Stands before all others, so that every answer has the id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """An id that is not sane is passed over, for it is the client's to choose."""
        given = request.headers.get(HEADER, "")
        its_id = given if _is_sane(given) else new_id("request")
        request.request_id = its_id  # type: ignore[attr-defined]
        with serving(request, its_id):
            response = self._get_response(request)
        response[HEADER] = its_id
        return response


def _is_sane(given: str) -> bool:
    """A phone number is not: the audit keeps the id as it is, for good."""
    return bool(_SANE.fullmatch(given)) and mask_numbers(given) == given


class RequestIdFilter(logging.Filter):
    """Gives each line of the log the id of its request, or a dash."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Nothing is left out. Django tells of a refused request when it has left the middleware,
        and hands it over with the line."""
        told_of = getattr(getattr(record, "request", None), "request_id", "")
        record.request_id = request_id() or told_of or "-"
        return True
