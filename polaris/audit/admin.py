"""The operators' page about the audit: who did what, when and why. Nobody writes here."""

import json
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import FieldTextFilter, RadioFilter
from unfold.decorators import display

from polaris.admin_site import (
    NOTHING,
    DaysFilter,
    ReadOnlyAdmin,
    Section,
    SectionAdmin,
    badge,
    link,
    scheduler_zone,
    start_of_day,
    two_lines,
)
from polaris.admin_words import moment_in_words
from polaris.audit.models import AuditEntry
from polaris.audit.verbs import VERBS
from polaris.ids import earliest_id

# The admin's name of the page that an object of a kind has.
_PAGES = {
    "schedule": "schedules_callschedule",
    "call": "tracking_calllog",
    "gate": "schedules_gate",
    "notification": "tracking_notification",
    "runner": "schedules_runner",
    "account": "auth_user",
    "group": "auth_group",
}
_COUNTED = ("account", "group")  # the audit calls them user_3 and group_3


class KindOfActorFilter(RadioFilter):
    """People, runners, the carrier, commands."""

    title = "who"
    parameter_name = "who"
    _prefixes = {"people": "user_", "runners": "runner_", "carrier": "carrier", "commands": "comm"}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*((kind, kind) for kind in self._prefixes), ("nobody", "nobody signed in")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        kind = self.value()
        if kind == "nobody":
            return queryset.filter(actor="nobody")
        if kind in self._prefixes:
            return queryset.filter(actor__startswith=self._prefixes[kind])
        return queryset


class EntryDaysFilter(DaysFilter):
    """From a day to a day, by the key, which tells the time and has an index."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = self._day("from"), self._day("to")
        if first:
            queryset = queryset.filter(pk__gte=earliest_id("audit", start_of_day(first)))
        if last:
            queryset = queryset.filter(
                pk__lt=earliest_id("audit", start_of_day(last + timedelta(days=1)))
            )
        return queryset


class EntryColumns:
    """How an entry is shown in a list."""

    @display(description="When", ordering="id")
    def when(self, entry: AuditEntry) -> str:
        return moment_in_words(entry.happened_at, scheduler_zone())

    @display(description="Who")
    def who(self, entry: AuditEntry) -> SafeString | str:
        if not entry.actor_name:
            return entry.actor
        return two_lines(entry.actor_name, entry.actor)

    @display(description="What")
    def what(self, entry: AuditEntry) -> SafeString:
        return two_lines(entry.verb, VERBS.get(entry.verb, ""))

    @display(description="Object")
    def object_link(self, entry: AuditEntry) -> SafeString | str:
        name = entry.object_id or entry.object_kind
        path = _page_of(entry)
        return link(path, name) if path else name

    @display(description="What changed")
    def summary(self, entry: AuditEntry) -> str:
        changed = json.loads(entry.changes)
        if "status" in changed:
            before, after = changed["status"]
            return f"{before} → {after}" if before else str(after)
        return ", ".join(changed) or NOTHING


@admin.register(AuditEntry)
class AuditEntryAdmin(EntryColumns, ReadOnlyAdmin):
    """Every act; where staff look after something has happened."""

    list_display = ["when", "who", "what", "object_link", "summary", "reason"]
    list_filter = [
        KindOfActorFilter,
        ("actor", FieldTextFilter),
        ("verb", FieldTextFilter),
        ("object_kind", FieldTextFilter),
        ("happened_at", EntryDaysFilter),
    ]
    search_fields = ["=id", "=schedule_id", "=object_id", "=actor", "=request_id"]
    search_help_text = "A whole id: of a schedule, a call, an account, a request or an entry"
    fields = [
        "id", "when", "who", "agent_instance_id", "address", "request_id", "what", "object_link",
        "schedule_link", "reason", "before_and_after", "place",
    ]  # fmt: skip

    @display(description="Schedule")
    def schedule_link(self, entry: AuditEntry) -> SafeString | str:
        if not entry.schedule_id:
            return NOTHING
        path = reverse("admin:schedules_callschedule_change", args=[quote(entry.schedule_id)])
        return link(path, entry.schedule_id)

    @display(description="Before and after")
    def before_and_after(self, entry: AuditEntry) -> SafeString:
        rows = [
            [name, _shown(before), _shown(after)]
            for name, (before, after) in json.loads(entry.changes).items()
        ]
        table = {"headers": ["Field", "Before", "After"], "rows": rows}
        return render_to_string("admin/polaris/before_and_after.html", {"table": table})

    @display(description="Sealed")
    def place(self, entry: AuditEntry) -> SafeString:
        if entry.sequence is None:
            return badge("not yet sealed", "warning")
        return two_lines(f"as number {entry.sequence}", entry.hash)


class EntriesOfScheduleAdmin(EntryColumns, SectionAdmin):
    """What was done to a schedule and its calls, the latest first."""

    list_display = ["when", "who", "what", "summary", "reason"]

    def rows_of(self, rows: QuerySet[AuditEntry], key: str) -> QuerySet[AuditEntry]:
        return rows.filter(schedule_id=key)


class HistoryOfSchedule(Section):
    """A schedule's history, on its page."""

    title = "History"
    model = AuditEntry
    model_admin = EntriesOfScheduleAdmin


def _page_of(entry: AuditEntry) -> str:
    """Where the object is looked at; empty where it has no page."""
    page = _PAGES.get(entry.object_kind)
    if page is None or not entry.object_id:
        return ""
    key = entry.object_id
    if entry.object_kind in _COUNTED:
        key = key.partition("_")[2]
    try:
        return reverse(f"admin:{page}_change", args=[quote(key)])
    except NoReverseMatch:
        return ""


def _shown(value: Any) -> str:
    if value is None:
        return NOTHING
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
