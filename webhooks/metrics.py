"""What Prometheus is told of the carrier's webhooks."""

from collections.abc import Iterable
from datetime import timedelta

from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily, Metric

from polaris.metrics.exposition import gauge
from webhooks.models import WebhookEvent

# Of so many at most, and none older: a scrape costs the same at any rate.
_LATEST = 1000
_WITHIN = timedelta(minutes=10)
_QUANTILES = (0.5, 0.95, 0.99)


def metrics(counters: dict[str, int]) -> Iterable[Metric]:
    """Of the latest webhooks, how soon each was acted upon, and how many were not."""
    now = timezone.now()
    rows = WebhookEvent.objects.filter(received_at__gte=now - _WITHIN)
    latest = list(rows.values_list("received_at", "processed_at")[:_LATEST])
    took = sorted((done - came).total_seconds() for came, done in latest if done)
    yield gauge("polaris_webhooks_recent", "Webhooks that the figures are of.", len(latest))
    unprocessed = sum(1 for _, done in latest if done is None)
    yield gauge("polaris_webhooks_unprocessed", "Those not acted upon yet.", unprocessed)
    latency = GaugeMetricFamily(
        "polaris_webhook_latency_seconds",
        "From being received to being acted upon; none where none came lately.",
        labels=["quantile"],
    )
    for quantile in _QUANTILES if took else ():
        latency.add_metric([str(quantile)], took[int(quantile * (len(took) - 1))])
    yield latency
