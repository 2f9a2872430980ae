"""What Prometheus is told: every room's families, in its text format."""

from collections.abc import Callable, Iterable

from django.conf import settings
from django.utils.module_loading import import_string
from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

import polaris
from polaris.audit.models import AuditEntry
from polaris.metrics.models import Counter

# More than that wait only where nobody has sealed for long: no need to know how many.
_MOST_UNSEALED = 100_000


class _Rooms(Collector):
    """A collector: asks the database anew at each scrape."""

    def collect(self) -> Iterable[Metric]:
        counters = dict(Counter.objects.values_list("pk", "value"))
        for path in settings.METRICS_TOLD_BY:
            room: Callable[[dict[str, int]], Iterable[Metric]] = import_string(path)
            yield from room(counters)


def exposition() -> bytes:
    """All metrics, in the text format 0.0.4."""
    return generate_latest(_Rooms())


def metrics(counters: dict[str, int]) -> Iterable[Metric]:
    """What all rooms share."""
    version = GaugeMetricFamily("polaris_info", "The version that answered.", labels=["version"])
    version.add_metric([polaris.VERSION], 1)
    yield version
    unsealed = AuditEntry.objects.filter(sequence=None)[:_MOST_UNSEALED].count()
    yield gauge("polaris_audit_unsealed", "Audit entries that are not in the chain yet.", unsealed)


def gauge(name: str, meaning: str, value: float) -> Metric:
    """A figure of this moment, without labels."""
    return GaugeMetricFamily(name, meaning, value=value)
