"""What an operator sees first: is a runner alive, what is due and under way, how it went today.

Each card is a fixed number of queries that an index answers, whatever the number of rows, and is
asked for only where the user may view the rows that it shows.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import Truncator

from polaris.admin_site import may_view, page_of, scheduler_zone, start_of_day
from polaris.admin_words import (
    clock_in_words,
    distance_in_words,
    lateness_in_words,
    moment_in_words,
    span_in_words,
)
from polaris.masking import masked_number
from schedules import gate
from schedules.admin_gate import (
    DIAL_AGAIN,
    STOP,
    closed_by_in_words,
    may_operate,
    next_probe_in_words,
    waiting_in_words,
)
from schedules.admin_words import moment_of
from schedules.models import ActiveSchedule, CallSchedule, Gate, Runner
from schedules.states import ArmedStatus
from schedules.waiting import Waiting, what_waits
from tracking.admin import NEEDED
from tracking.admin_story import zone_of
from tracking.held_up import what_holds_up
from tracking.models import CallLog
from tracking.states import COLOURS, UNSETTLED, UNSUCCESSFUL, CallStatus

SHOWN = 10
SHOWN_RUNNERS = 5
SHOWN_FAILURES = 6
REFRESHED_EVERY = 5  # seconds

# In the order of the bar: what went well first, what is not over last.
_OUTCOMES = (
    CallStatus.COMPLETED,
    CallStatus.BUSY,
    CallStatus.NO_ANSWER,
    CallStatus.FAILED,
    CallStatus.CANCELLED,
    CallStatus.MISSED,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a card: what it is about, where its page is, what is said of it, and its badge."""

    title: str
    href: str
    phone: str
    when: str
    distance: str
    remark: str = ""
    badge: str = ""
    colour: str = ""


def dashboard_context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """The index page's context (UNFOLD.DASHBOARD_CALLBACK names this function)."""
    now = timezone.now()
    cards: dict[str, Any] = {}
    sees_schedules = may_view(request, CallSchedule)
    if sees_schedules or may_view(request, Gate):
        waiting, row = what_waits(now), gate.current()
        cards["gate"] = _gate(row, now, waiting, may_operate=may_operate(request))
        if sees_schedules:
            cards["due"] = _due(now)
            cards["overdue"] = _overdue(row, now, waiting)
    if may_view(request, Runner):
        cards["runners"] = _runners(now)
    if may_view(request, CallLog):
        cards["attention"] = _attention()
        cards["in_progress"] = _in_progress(now, names=sees_schedules)
        cards["today"] = _today(now)
        cards["failures"] = _failures(now, names=sees_schedules)
    as_of = f"{clock_in_words(now, scheduler_zone())} {scheduler_zone()}"
    return context | {
        "title": "Dashboard",
        "cards": cards,
        "as_of": as_of,
        "refreshed_every": REFRESHED_EVERY,
    }


def _gate(row: Gate, now: datetime, waiting: Waiting, *, may_operate: bool) -> dict[str, Any]:
    """Why nothing is dialled, where the gate is closed; and what may be done about it."""
    if row.closed_since is None:
        button = _button("stop", STOP, "block") if may_operate else None
        return {"is_closed": False, "button": button}
    return {
        "is_closed": True,
        "button": _button("dial_again", DIAL_AGAIN, "call") if may_operate else None,
        "reason": row.reason,
        "by": closed_by_in_words(row),
        "since": moment_in_words(row.closed_since, scheduler_zone()),
        "distance": distance_in_words(row.closed_since, now),
        "next": next_probe_in_words(row),
        "waiting": waiting_in_words(waiting),
    }


def _button(name: str, title: str, icon: str) -> dict[str, str]:
    """Opens the dialog of an action on the gate's page."""
    href = reverse(f"admin:schedules_gate_{name}", args=[Gate.CALLS])
    attrs = format_html(
        'hx-get="{}" hx-target="#modal-content" hx-select="#dialog" hx-swap="innerHTML" '
        'x-on:htmx:after-on-load="openModal = true"',
        href,
    )
    page = page_of(Gate, Gate.CALLS)
    return {"title": title, "icon": icon, "href": page, "attrs": attrs}


def _attention() -> dict[str, Any]:
    logs = reverse("admin:tracking_calllog_changelist")
    count = CallLog.objects.needing_attention().count()
    return {"count": count, "href": f"{logs}?attention={NEEDED}"}


def _runners(now: datetime) -> dict[str, Any]:
    newest = Runner.objects.claiming().order_by("-last_seen_at")
    runners: list[Any] = list(newest.with_calls_in_hand()[:SHOWN_RUNNERS])
    alive = [runner for runner in runners if runner.is_alive]
    return {
        "workers": _workers(now) if settings.SCHEDULER_EXECUTOR == "celery" else None,
        "alive": [
            {
                "name": str(runner),
                "since": moment_in_words(runner.started_at, scheduler_zone()),
                "last_seen": distance_in_words(runner.last_seen_at, now),
                "version": runner.version,
                "in_hand": runner.calls_in_hand,
                "trouble": runner.trouble,
            }
            for runner in alive
        ],
        "last": None
        if alive or not runners
        else {
            "name": str(runners[0]),
            "last_seen": distance_in_words(runners[0].last_seen_at, now),
            "stopped": runners[0].stopped_at is not None,
        },
    }


def _workers(now: datetime) -> dict[str, Any]:
    """Those to whom runners hand over: without them nothing is dialled either."""
    newest = list(Runner.objects.workers().order_by("-last_seen_at")[:SHOWN_RUNNERS])
    alive = [worker for worker in newest if worker.is_alive]
    return {
        "alive": [
            {
                "name": str(worker),
                "since": moment_in_words(worker.started_at, scheduler_zone()),
                "last_seen": distance_in_words(worker.last_seen_at, now),
            }
            for worker in alive
        ],
        "last": distance_in_words(newest[0].last_seen_at, now) if newest else "",
    }


def _due(now: datetime) -> list[Line]:
    rows = ActiveSchedule.objects.exclude(next_execution=None).select_related("schedule")
    return [
        Line(
            title=_title(armed.schedule),
            href=page_of(CallSchedule, armed.schedule_id),
            phone=masked_number(armed.schedule),
            when=moment_of(armed.schedule, armed.next_execution),
            distance=distance_in_words(armed.next_execution, now),
            remark=_remark(armed, now),
            badge=_badge(armed),
            colour="warning",
        )
        for armed in rows.in_order()[:SHOWN]
        if armed.next_execution
    ]


def _remark(armed: ActiveSchedule, now: datetime) -> str:
    if armed.waits_for and armed.due_at <= now:
        return f"It is due and waits: {armed.waits_for}"
    match armed.origin:
        case ActiveSchedule.Origin.OPERATOR:
            return "call now"
        case ActiveSchedule.Origin.RETRY:
            return f"attempt {armed.attempt}"
    return armed.waits_for


def _badge(armed: ActiveSchedule) -> str:
    if armed.status == ArmedStatus.SCHEDULED:
        return "deferred" if armed.asked else ""
    return str(armed.get_status_display())


def _overdue(row: Gate, now: datetime, waiting: Waiting) -> dict[str, Any]:
    """Due and in nobody's hands, and why; what runners hold is being dialled. Of a closed gate its
    own card tells, and of what waits for something of its own its line."""
    is_told = row.closed_since is not None or not waiting.held_up
    return {
        "count": waiting.count,
        "deferred": waiting.deferred,
        "by": span_in_words(waiting.late) if waiting.count else "",
        "why": "" if is_told else what_holds_up(row, now=now, zone=scheduler_zone()),
    }


def _in_progress(now: datetime, *, names: bool) -> dict[str, Any]:
    logs = CallLog.objects.on_the_line()
    shown = logs.select_related("schedule").order_by("-timestamp", "-id")
    return {
        "count": logs.count(),
        "lines": [_line(log, now, names=names) for log in shown[:SHOWN]],
    }


def _failures(now: datetime, *, names: bool) -> list[Line]:
    """The latest of each outcome, then of all: asked for all at once SQLite would sort them all."""
    logs = CallLog.objects.select_related("schedule").order_by("-timestamp", "-id")
    found = [log for status in UNSUCCESSFUL for log in logs.filter(status=status)[:SHOWN_FAILURES]]
    latest = sorted(found, key=lambda log: (log.timestamp, log.pk), reverse=True)
    return [
        _line(log, now, names=names, remark=log.error_message) for log in latest[:SHOWN_FAILURES]
    ]


def _today(now: datetime) -> dict[str, Any]:
    """Today's calls by outcome, on the scheduler's clock; the rate is of all of them."""
    midnight = start_of_day(timezone.localdate(now))
    # Every status is named, so that the index by status and time is searched, not read.
    today = CallLog.objects.filter(status__in=CallStatus.values, timestamp__gte=midnight).order_by()
    counts = dict(today.values_list("status").annotate(number=Count("*")))
    total = sum(counts.values())
    under_way = sum(counts.get(status, 0) for status in UNSETTLED)
    since = f"timestamp_from={timezone.localdate(now).isoformat()}"
    outcomes = [_outcome(status, counts.get(status, 0), total, since) for status in _OUTCOMES]
    completed = counts.get(CallStatus.COMPLETED, 0)
    return {
        "total": total,
        "completed": completed,
        "rate": round(100 * completed / total, 1) if total else None,
        "outcomes": [outcome for outcome in outcomes if outcome["count"]],
        "under_way": under_way,
        "under_way_share": _share(under_way, total),
        "zone": settings.SCHEDULER_TIMEZONE,
    }


def _outcome(status: CallStatus, count: int, total: int, since: str) -> dict[str, Any]:
    return {
        "label": status.label,
        "colour": COLOURS[status],
        "count": count,
        "share": _share(count, total),
        "href": f"{reverse('admin:tracking_calllog_changelist')}?status__exact={status}&{since}",
    }


def _share(count: int, total: int) -> str:
    """A part in per cent, with the point that CSS asks for."""
    return f"{100 * count / total:.2f}" if total else "0"


def _line(log: CallLog, now: datetime, *, names: bool, remark: str = "") -> Line:
    status = CallStatus(log.status)
    named = names and log.schedule is not None
    return Line(
        title=_title(log.schedule) if named and log.schedule else log.pk,
        href=page_of(CallLog, log.pk),
        phone=masked_number(log),
        when=moment_in_words(log.timestamp, zone_of(log, scheduler_zone())),
        distance=distance_in_words(log.timestamp, now),
        remark=remark or lateness_in_words(log.lateness),
        badge=status.label,
        colour=COLOURS[status],
    )


def _title(schedule: CallSchedule) -> str:
    return Truncator(str(schedule)).chars(60)
