"""Lists: filters and pages that refuse what they do not understand, instead of passing over it."""

import re
from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.db.models import Model, QuerySet
from django_filters import rest_framework as filters
from rest_framework.pagination import LimitOffsetPagination
from rest_framework.request import Request
from rest_framework.views import APIView

from polaris.errors import INVALID_QUERY, PolarisError
from polaris.moments import in_utc, parse_moment

_LARGEST_OFFSET = 2**31 - 1
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class InvalidQuery(PolarisError):
    """A query parameter is unknown or its value is invalid."""

    error = INVALID_QUERY


class NumberFilter(filters.CharFilter):
    """Rows of one whole number in E.164; a plus sign that was sent as it is came as a blank."""

    def filter(self, qs: Any, value: Any) -> Any:
        """By the number's hash: of a part of it, or another spelling, there is none."""
        return qs.of_number(f"+{value.lstrip('+ ')}") if value else qs


class MomentField(forms.Field):
    """A date and time, or a bare date: the begin of that day, or its end where `ends`."""

    def __init__(self, *, ends: bool = False, **kwargs: Any) -> None:
        self.ends = ends
        super().__init__(**kwargs)

    def to_python(self, value: str | None) -> datetime | None:
        """In UTC; without an offset it is local time in SCHEDULER_TIMEZONE."""
        if not value:
            return None
        try:
            return in_utc(_located(self._read(value.strip())))
        except (ValueError, OverflowError) as error:
            raise forms.ValidationError(str(error)) from error

    def _read(self, value: str) -> datetime:
        if not _DATE.fullmatch(value):
            # A plus sign that was not escaped arrives as a blank.
            return parse_moment(value.replace(" ", "+") if "T" in value else value)
        try:
            day = date.fromisoformat(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is not a date that exists in the calendar.") from error
        if self.ends:
            return datetime.combine(day, time.min) + timedelta(days=1, microseconds=-1)
        return datetime.combine(day, time.min)


class MomentFilter(filters.Filter):
    """Filters by a moment in time."""

    field_class = MomentField


class StrictFilterBackend(filters.DjangoFilterBackend):
    """Filters and orders by the view's own parameters; any other is refused by name.

    A view may name `ordering_fields`; its own order holds where none is asked for."""

    paging: ClassVar[frozenset[str]] = frozenset({"limit", "offset"})

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Model], view: APIView
    ) -> QuerySet[Model]:
        """Raises InvalidQuery."""
        filterset = self.get_filterset(request, queryset, view)
        known = set(filterset.filters) if filterset else set()
        orderable: Collection[str] = getattr(view, "ordering_fields", ())
        self._refuse_unknown(request, view, known, orderable)
        if filterset is None:
            return queryset
        for field, found in filterset.errors.items():
            raise InvalidQuery(str(found[0]), field=field)
        _refuse_backward_spans(filterset)
        return self._order(request, filterset.qs, orderable)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """None here: drf-spectacular reads the filter set itself."""
        return []

    def _refuse_unknown(
        self, request: Request, view: APIView, known: set[str], orderable: Collection[str]
    ) -> None:
        if getattr(view, "paginator", None):
            known |= self.paging
        if orderable:
            known.add("ordering")
        refuse_unknown(request, known)

    def _order(
        self, request: Request, queryset: QuerySet[Model], orderable: Collection[str]
    ) -> QuerySet[Model]:
        asked = request.query_params.get("ordering")
        if not asked:
            return queryset
        for name in asked.split(","):
            if name.removeprefix("-") not in orderable:
                names = ", ".join(sorted(orderable))
                raise InvalidQuery(f"One orders by: {names}.", field="ordering")
        # The key makes the order total, so that pages neither repeat nor pass over a row.
        return queryset.order_by(*asked.split(","), "-pk")


class StrictPagination(LimitOffsetPagination):
    """`limit` (1 to 1000, default 100) and `offset`; anything else is refused."""

    default_limit = 100
    max_limit = 1000

    def get_limit(self, request: Request) -> int:
        """How many rows at most."""
        return read_number(request, "limit", 1, self.max_limit, self.default_limit)

    def get_offset(self, request: Request) -> int:
        """How many rows to pass over."""
        return read_number(request, "offset", 0, _LARGEST_OFFSET, 0)

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        """For the OpenAPI document, with the bounds."""
        bounds = {
            "limit": {"minimum": 1, "maximum": self.max_limit, "default": self.default_limit},
            "offset": {"minimum": 0, "maximum": _LARGEST_OFFSET, "default": 0},
        }
        parameters = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            parameter["schema"] |= bounds[parameter["name"]]
        return list(parameters)


def refuse_unknown(request: Request, known: Collection[str]) -> None:
    """A parameter that is not known, or comes twice. Raises InvalidQuery."""
    for name, values in request.query_params.lists():
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise InvalidQuery(f"Unknown; the parameters here are: {names}.", field=name)
        if len(values) > 1:
            raise InvalidQuery("Given more than once.", field=name)


def read_number(request: Request, name: str, least: int, most: int, default: int) -> int:
    """A whole number within its bounds. Raises InvalidQuery."""
    raw = request.query_params.get(name)
    if raw is None:
        return default
    if not (raw.isascii() and raw.isdigit() and len(raw) < 20 and least <= int(raw) <= most):
        raise InvalidQuery(f"Must be a whole number from {least} to {most}.", field=name)
    return int(raw)


def _refuse_backward_spans(filterset: filters.FilterSet) -> None:
    """An end before its start: nothing could ever match. Raises InvalidQuery."""
    begins: dict[str, datetime] = {}
    for name, bound in filterset.filters.items():
        moment = filterset.form.cleaned_data.get(name)
        if not isinstance(bound, MomentFilter) or moment is None:
            continue
        begin = begins.setdefault(bound.field_name, moment)
        if moment < begin:
            raise InvalidQuery("Ends before it starts.", field=name)


def _located(moment: datetime) -> datetime:
    if moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=ZoneInfo(settings.SCHEDULER_TIMEZONE))
