"""The panel of an operator's form that shows when the schedule would call."""

from collections.abc import Iterator
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from polaris.admin_site import NOTHING, badge, two_lines
from polaris.admin_words import moment_in_words, wall_in_words
from schedules.admin_form import ScheduleForm
from schedules.planning import Plan
from schedules.preview import Line, preview
from schedules.recurrence import Mark

OCCURRENCES = 10

_BADGES = {
    Mark.MOVED: ("moved", "warning"),
    Mark.FIRST_OF_TWO: ("first of two", "info"),
    Mark.SKIPPED: ("skipped", "default"),
}


def preview_of_form(request: HttpRequest, form: ScheduleForm) -> HttpResponse:
    """What the form as it stands would dial, or what is wrong with it; nothing is written."""
    form.fields["phone"].required = False
    if form.is_valid():
        context: dict[str, Any] = {"table": _table(form.plan)}
    else:
        context = {"errors": list(_errors(form))}
    return TemplateResponse(request, "admin/schedules/preview.html", context)


def line_in_words(line: Line, zone: ZoneInfo) -> str:
    """Its time on the schedule's clock, also where that time is skipped."""
    return moment_in_words(line.at, zone) if line.at else wall_in_words(line.local)


def mark_in_words(line: Line) -> SafeString | str:
    """Its mark as a badge, and why."""
    if line.mark not in _BADGES:
        return ""
    return two_lines(badge(*_BADGES[line.mark]), line.because)


def _table(plan: Plan) -> dict[str, Any]:
    timetable, since = plan.timetable, max(plan.scheduled_time, timezone.now())
    lines = preview(timetable, since=since, occurrences=OCCURRENCES)
    return {
        "headers": ["", "On the schedule's clock", "In UTC", "Remark"],
        "rows": [
            [
                line.number or NOTHING,
                line_in_words(line, timetable.zone),
                moment_in_words(line.at, UTC) if line.at else NOTHING,
                mark_in_words(line),
            ]
            for line in lines
        ],
    }


def _errors(form: ScheduleForm) -> Iterator[str]:
    for name, issues in form.errors.items():
        label = form.fields[name].label or name.replace("_", " ") if name in form.fields else ""
        yield from (f"{label}: {issue}" if label else str(issue) for issue in issues)
