"""What Prometheus is told of what is due, of the gate and of the runners."""

from collections.abc import Iterable

from django.utils import timezone
from prometheus_client.core import Metric

from polaris.metrics.exposition import gauge
from schedules import gate
from schedules.models import ActiveSchedule, Runner
from schedules.waiting import what_waits


def metrics(counters: dict[str, int]) -> Iterable[Metric]:
    """Figures of this moment; each is a query that an index answers."""
    moment = timezone.now()
    waiting = what_waits(moment)
    yield gauge("polaris_waiting", "Calls that are due and in no runner's hands.", waiting.count)
    yield gauge(
        "polaris_waiting_refused",
        "Those of them that the carrier has refused for now.",
        waiting.deferred,
    )
    late = waiting.late.total_seconds()
    yield gauge("polaris_waiting_oldest_seconds", "How late the first of them is.", late)
    claims = ActiveSchedule.objects.claimed(moment).count()
    yield gauge("polaris_claims", "Occurrences that runners have claimed and not done.", claims)
    closed_since = gate.current().closed_since
    yield gauge("polaris_gate_closed", "1 while nothing is dialled.", int(bool(closed_since)))
    for_long = (moment - closed_since).total_seconds() if closed_since else 0.0
    yield gauge("polaris_gate_closed_seconds", "For how long it has been closed.", for_long)
    alive = Runner.objects.alive(moment)
    runners, workers = alive.claiming().count(), alive.workers().count()
    yield gauge("polaris_runners", "Runners that have been heard of lately.", runners)
    yield gauge("polaris_workers", "Celery workers that have been heard of lately.", workers)
