"""What Prometheus is told of calls: what was dialled, how late, and how it ended."""

import json
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db.models import Count, Min
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from polaris.metrics.counting import Happened
from polaris.metrics.exposition import gauge
from tracking.models import CallLog, Notification
from tracking.states import FINAL, LIVE, UNSETTLED, CallStatus

_DIALLED, _ENDED, _LATE, _LATENESS = "dialled", "ended/", "late/", "lateness_us"
_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)  # seconds
_MICROSECOND = timedelta(microseconds=1)
_NOT_YET_TAKEN = {CallStatus.PENDING, CallStatus.UNKNOWN}
# Verbs of calls that the carrier had, whether it said so itself or its webhook was quicker.
_TAKEN = {"call.placed", "call.answered", "call.ended"}


def count(entries: Sequence[Happened]) -> Tally[str]:
    """What these audit entries add to the counters."""
    counted: Tally[str] = Tally()
    dialled = []
    for entry in entries:
        if not entry.verb.startswith("call."):
            continue
        before, after = json.loads(entry.changes).get("status", (None, None))
        if entry.verb in _TAKEN and before in _NOT_YET_TAKEN:
            dialled.append(entry.object_id)
        if after in FINAL and before not in FINAL:
            counted[_ENDED + after] += 1
    counted[_DIALLED] += len(dialled)
    counted.update(_lateness(dialled))
    return counted


def _lateness(logs: Sequence[str]) -> Tally[str]:
    """By the bound that each is within. Of logs that were deleted within the minute nothing."""
    counted: Tally[str] = Tally()
    times = CallLog.objects.filter(pk__in=logs).exclude(due_at=None)
    for dialled_at, due_at in times.values_list("timestamp", "due_at"):
        late = max(timedelta(), dialled_at - due_at)
        bound = next((b for b in _BOUNDS if late.total_seconds() <= b), "+Inf")
        counted[f"{_LATE}{bound}"] += 1
        counted[_LATENESS] += late // _MICROSECOND
    return counted


def metrics(counters: dict[str, int]) -> Iterable[Metric]:
    """Counters as of the last count, and figures of this moment."""
    yield CounterMetricFamily(
        "polaris_dialled", "Calls that the carrier has taken.", value=counters.get(_DIALLED, 0)
    )
    ended = CounterMetricFamily(
        "polaris_calls_ended", "Calls that are over, by outcome.", labels=["status"]
    )
    for status in sorted(FINAL):
        ended.add_metric([str(status)], counters.get(f"{_ENDED}{status}", 0))
    yield ended
    yield _histogram(counters)
    yield from _calls_now()
    yield from _outbox()


def _histogram(counters: dict[str, int]) -> Metric:
    buckets, total = [], 0
    for bound in (*_BOUNDS, "+Inf"):
        total += counters.get(f"{_LATE}{bound}", 0)
        buckets.append((str(bound), total))
    lateness = HistogramMetricFamily(
        "polaris_lateness_seconds", "How long after it was due a call was dialled."
    )
    lateness.add_metric([], buckets, sum_value=counters.get(_LATENESS, 0) / 1_000_000)
    return lateness


def _calls_now() -> Iterable[Metric]:
    rows = CallLog.objects.unsettled().order_by().values_list("status")
    found = dict(rows.annotate(n=Count("pk")))
    unsettled = GaugeMetricFamily(
        "polaris_calls", "Calls that are not over, by state.", labels=["status"]
    )
    for status in sorted(UNSETTLED):
        unsettled.add_metric([str(status)], found.get(status, 0))
    yield unsettled
    live = sum(found.get(status, 0) for status in LIVE)
    yield gauge("polaris_live_calls", "Calls that are at the carrier.", live)
    attention = CallLog.objects.needing_attention().count()
    yield gauge("polaris_calls_needing_attention", "Calls that ask for somebody.", attention)


def _outbox() -> Iterable[Metric]:
    rows = Notification.objects.filter(status=Notification.Status.WAITING)
    waiting = rows.aggregate(n=Count("pk"), oldest=Min("created_at"))
    yield gauge("polaris_outbox_waiting", "Messages that are not delivered yet.", waiting["n"])
    oldest = waiting["oldest"]
    age = (timezone.now() - oldest).total_seconds() if oldest else 0.0
    yield gauge("polaris_outbox_oldest_seconds", "The age of the oldest of them.", age)
