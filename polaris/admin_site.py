"""What the admin pages of every room share: read-only pages, sections, filters and small pieces."""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.admin import ShowFacets
from django.contrib.admin.utils import quote, unquote
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import make_aware
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.datasets import BaseDataset
from unfold.utils import parse_date_str

from polaris.masking import mask_numbers

NOTHING = "-"
# Beyond these, midnight may lie outside the calendar of some zone or database.
_YEARS = range(1900, 9999)


class PolarisAdmin(ModelAdmin):
    """A page to whose objects the rooms above may add sections: what they know of the object."""

    list_per_page = 50
    list_filter_submit = True
    list_fullwidth = True
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # counting every filter is a walk through the whole table
    empty_value_display = NOTHING
    change_form_datasets: ClassVar[tuple[type["Section"], ...]] = ()

    @classmethod
    def add_section(cls, section: type["Section"]) -> None:
        """Show `section` below each object's page, to whoever may see its rows."""
        cls.change_form_datasets = (*cls.change_form_datasets, section)

    def get_changeform_datasets(self, request: HttpRequest) -> list[type["Section"]]:
        """The sections of the object in hand; none while it is being added."""
        match = request.resolver_match
        if match is None or "object_id" not in match.kwargs:
            return []
        return [section for section in self.change_form_datasets if section.is_seen_by(request)]


class ReadOnlyAdmin(PolarisAdmin):
    """Rows that the house writes: nobody adds, changes or deletes them by hand."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class SectionAdmin(ReadOnlyAdmin):
    """The rows of a section: those that belong to the object whose page it is on."""

    list_per_page = 10
    extra_context: dict[str, Any]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return self.rows_of(super().get_queryset(request), unquote(self.extra_context["object"]))

    def rows_of(self, rows: QuerySet[Any], key: str) -> QuerySet[Any]:
        """Those of `rows` that belong to the object of that key."""
        raise NotImplementedError


class Section(BaseDataset):
    """A list of `model` rows below an object's page, as `model_admin` lists them."""

    model: ClassVar[type[Model]]
    model_admin: ClassVar[type[SectionAdmin]]

    @classmethod
    def is_seen_by(cls, request: HttpRequest) -> bool:
        """Whether the user may see such rows at all."""
        return may_view(request, cls.model)


class DaysFilter(RangeDateFilter):
    """From a day to a day, both included, on the scheduler's clock."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = self._day("from"), self._day("to")
        name = self.parameter_name
        if first:
            queryset = queryset.filter(**{f"{name}__gte": start_of_day(first)})
        if last:
            end = start_of_day(last + timedelta(days=1))
            queryset = queryset.filter(**{f"{name}__lt": end})
        return queryset

    def _day(self, end: str) -> date | None:
        text = self.used_parameters.get(f"{self.parameter_name}_{end}")
        day = parse_date_str(text) if isinstance(text, str) else None
        return day if day and day.year in _YEARS else None


def start_of_day(day: date) -> datetime:
    """The midnight that begins a day on the scheduler's clock, in UTC."""
    return make_aware(datetime.combine(day, time.min)).astimezone(UTC)


def scheduler_zone() -> ZoneInfo:
    """The zone of times that belong to no schedule."""
    return ZoneInfo(settings.SCHEDULER_TIMEZONE)


def may_view(request: HttpRequest, model: type[Model]) -> bool:
    """Whether the user may see rows of `model`, by the rule of Django's admin."""
    opts = model._meta
    held = (f"{opts.app_label}.{verb}_{opts.model_name}" for verb in ("view", "change"))
    return any(request.user.has_perm(permission) for permission in held)


def badge(text: str, colour: str) -> SafeString:
    """A state as unfold draws it; `colour` is one of its label variants."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "variant": colour})


def page_of(model: type[Model], key: str) -> str:
    """The path of an object's page."""
    opts = model._meta
    return reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=[quote(key)])


def link(href: str, text: str) -> SafeString:
    """A link as the admin draws it."""
    return format_html('<a href="{}" class="text-link">{}</a>', href, text)


def two_lines(first: object, second: object) -> SafeString:
    """A cell with a main line and a smaller one below it."""
    return format_html(
        '<span class="flex flex-col text-right lg:text-left">'
        '<span style="text-wrap: balance">{}</span>'
        '<span class="text-xs text-base-500">{}</span>'
        "</span>",
        first,
        second,
    )


def pretty_json(value: Any) -> SafeString:
    """JSON indented, one key a line, with its numbers masked."""
    text = mask_numbers(
        json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str)
    )
    return format_html('<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{}</pre>', text)
