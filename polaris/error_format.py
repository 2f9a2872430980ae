"""Gives every answer that is no success the contract's error format, the framework's included."""

import json
import logging
import math
import sys
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import DataError
from django.db import Error as DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.deprecation import MiddlewareMixin
from django.views import defaults
from rest_framework import exceptions
from rest_framework.response import Response

from polaris import errors
from polaris.database import is_out_of_reach
from polaris.errors import ErrorCode, IssuerAway, MustWait, NotReady, PolarisError, error_body
from polaris.masking import mask_numbers
from polaris.outage import RETRY_AFTER, outage

logger = logging.getLogger(__name__)

_INCOMPLETE = {"required", "null", "blank", "empty"}
_UTF_8 = {"utf-8", "utf8", "us-ascii", "ascii"}
_LONGEST_TEXT = 500
_WITHOUT_DATABASE = ("/static/", "/api/", "/health/live")
_BY_FIELD = {
    "phone": errors.INVALID_PHONE,
    "scheduled_time": errors.INVALID_TIME,
    "timezone": errors.INVALID_TIME,
    "repeat_config": errors.INVALID_REPEAT_CONFIG,
    "calling_window": errors.INVALID_CALLING_WINDOW,
    "retry_policy": errors.INVALID_RETRY_POLICY,
}
# DRF's exceptions in the order they are looked for: a subclass stands before its parent.
_BY_EXCEPTION: list[tuple[type[exceptions.APIException], ErrorCode, str]] = [
    (exceptions.NotAuthenticated, errors.NOT_AUTHENTICATED, "Authorization"),
    (exceptions.AuthenticationFailed, errors.INVALID_TOKEN, "Authorization"),
    (exceptions.PermissionDenied, errors.FORBIDDEN, "Authorization"),
    (exceptions.ParseError, errors.MALFORMED_BODY, "body"),
    (exceptions.NotFound, errors.PATH_NOT_FOUND, "path"),
    (exceptions.MethodNotAllowed, errors.METHOD_NOT_ALLOWED, "method"),
    (exceptions.UnsupportedMediaType, errors.UNSUPPORTED_MEDIA_TYPE, "Content-Type"),
    (exceptions.NotAcceptable, errors.NOT_ACCEPTABLE, "Accept"),
    (exceptions.Throttled, errors.THROTTLED, "rate"),
]


def answer_for(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler. None leaves what nobody expected to Django, which logs it."""
    if isinstance(exc, PolarisError):
        return _own(exc)
    if isinstance(exc, exceptions.ValidationError):
        return _invalid(exc)
    if is_out_of_reach(exc):
        return _away(exc)
    if isinstance(exc, DatabaseError):
        logger.exception("the database failed")
        return _answer(errors.DATABASE_FAILURE, "", errors.DATABASE_FAILURE.meaning)
    if isinstance(exc, exceptions.APIException):
        return _framework(exc)
    return _django(exc)


class ErrorFormatMiddleware(MiddlewareMixin):
    """Rewrites what Django answers outside of DRF's views. The admin keeps its pages."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        """Refuses a charset other than UTF-8, as RFC 8259 does, and a body without its length.

        Django would read the query by the charset too, and Python's codecs know such as rot13;
        DRF takes a body of unknown length for none."""
        charset = (request.content_params or {}).get("charset", "utf-8")
        if charset.lower() not in _UTF_8:
            issue = "The charset must be utf-8."
            return refuse(errors.UNSUPPORTED_MEDIA_TYPE, "Content-Type", issue)
        if "HTTP_TRANSFER_ENCODING" in request.META:
            issue = "A body must be sent whole, with its Content-Length."
            return refuse(errors.BAD_REQUEST, "Transfer-Encoding", issue)
        if not request.path.startswith(_WITHOUT_DATABASE) and outage.blocks():
            return _unavailable(request)
        return None

    def process_exception(self, request: HttpRequest, exc: Exception) -> HttpResponse | None:
        """For views that are not DRF's, the admin's above all."""
        if isinstance(exc, DataError) and "NUL" in str(exc):
            return defaults.bad_request(request, exc)  # what PostgreSQL says of %00 in an address
        if not is_out_of_reach(exc):
            return None
        outage.note(exc)
        return _unavailable(request)

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        """The answer itself where it is a success, the admin's, or JSON already."""
        is_ours = response.get("Content-Type", "").startswith("application/json")
        if response.status_code < 400 or is_ours or request.path.startswith("/admin/"):
            return response
        error = errors.code_for_status(response.status_code)
        field = "path" if error is errors.PATH_NOT_FOUND else ""
        issue = f"There is nothing at {request.path}." if field else error.meaning
        rewritten = refuse(error, field, issue)
        for header in ("Allow", "Retry-After"):
            if header in response.headers:
                rewritten[header] = response.headers[header]
        return rewritten


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: what middleware raises gets here."""
    error = sys.exc_info()[1]
    if error is None or not is_out_of_reach(error):
        return defaults.server_error(request)
    outage.note(error)
    return _unavailable(request)


def _own(error: PolarisError) -> Response:
    answer = _answer(error.error, error.field, error.issue)
    if isinstance(error, (MustWait, IssuerAway, NotReady)):
        answer["Retry-After"] = str(error.seconds)
    return answer


def _away(error: Exception) -> Response:
    outage.note(error)
    answer = _answer(errors.DATABASE_AWAY, "", errors.DATABASE_AWAY.meaning)
    answer["Retry-After"] = str(RETRY_AFTER)
    return answer


def _unavailable(request: HttpRequest) -> HttpResponse:
    """A page for who uses the admin, the error format for everybody else."""
    if request.path.startswith("/admin"):
        answer = render(request, "unavailable.html", status=errors.DATABASE_AWAY.status)
    else:
        answer = refuse(errors.DATABASE_AWAY, "", errors.DATABASE_AWAY.meaning)
    answer["Retry-After"] = str(RETRY_AFTER)
    return answer


def _answer(error: ErrorCode, field: str, issue: str, message: str = "") -> Response:
    message, field, issue = map(_sayable, (message or issue, field, issue))
    body = error_body(error, message=message, field=field, issue=issue)
    return Response(body, status=error.status)


def refuse(error: ErrorCode, field: str, issue: str) -> HttpResponse:
    """For requests that do not reach DRF."""
    told = error_body(error, message=error.meaning, field=field, issue=_sayable(issue))
    body = json.dumps(told)
    return HttpResponse(body, status=error.status, content_type="application/json")


def _sayable(text: str) -> str:
    """What a client sent may be quoted in `text`: JSON's lone surrogates, a megabyte, a number."""
    shown = mask_numbers(text.encode("utf-8", "backslashreplace").decode())
    return shown if len(shown) <= _LONGEST_TEXT else f"{shown[: _LONGEST_TEXT - 1]}…"


def _framework(exc: exceptions.APIException) -> Response:
    error, field = _classify(exc)
    answer = _answer(error, field, _first_sentence(exc.detail))
    challenge, wait = getattr(exc, "auth_header", None), getattr(exc, "wait", None)
    if challenge:
        answer["WWW-Authenticate"] = challenge
    if wait:
        answer["Retry-After"] = str(max(1, math.ceil(wait)))
    return answer


def _classify(exc: exceptions.APIException) -> tuple[ErrorCode, str]:
    if getattr(exc.detail, "code", "") == "no_active_account":
        return errors.WRONG_CREDENTIALS, "username"
    for kind, error, field in _BY_EXCEPTION:
        if isinstance(exc, kind):
            return error, field
    return errors.code_for_status(exc.status_code), ""


def _django(exc: Exception) -> Response | None:
    if isinstance(exc, Http404):
        return _answer(errors.PATH_NOT_FOUND, "path", errors.PATH_NOT_FOUND.meaning)
    if isinstance(exc, PermissionDenied):
        return _answer(errors.FORBIDDEN, "Authorization", errors.FORBIDDEN.meaning)
    if isinstance(exc, RequestDataTooBig):
        return _answer(errors.BODY_TOO_LARGE, "body", errors.BODY_TOO_LARGE.meaning)
    if isinstance(exc, SuspiciousOperation):
        return _answer(errors.BAD_REQUEST, "", errors.BAD_REQUEST.meaning)
    return None


def _invalid(exc: exceptions.ValidationError) -> Response:
    """Names the first field that is wrong in `details`, and every one in the message."""
    found = list(_flatten(exc.detail))
    field, issue, code = found[0]
    if code in _INCOMPLETE:
        error = errors.MISSING_DATA
    else:
        error = _BY_FIELD.get(field.split(".")[0], errors.INVALID_FIELD)
    message = " ".join(f"{name}: {text}" for name, text, _ in found)
    return _answer(error, field, issue, message)


def _flatten(detail: Any, field: str = "") -> Any:
    if isinstance(detail, dict):
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else str(name)
            yield from _flatten(inner, ".".join(filter(None, (field, step))))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _flatten(inner, field)
    else:
        yield field or "body", str(detail), getattr(detail, "code", "")


def _first_sentence(detail: Any) -> str:
    if isinstance(detail, dict) and "detail" in detail:
        return str(detail["detail"])
    return next((text for _, text, _ in _flatten(detail)), "")
