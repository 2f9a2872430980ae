"""Polaris with Celery: a runner that claims and hands over, workers that dial."""

from typing import ClassVar

from bench.contenders.polaris_runners import PolarisRunners
from bench.polaris import Polaris


class PolarisCelery(PolarisRunners):
    """One runner and one worker; every guarantee is on."""

    name = "polaris-celery"
    title = "Polaris, Celery, 1 worker"
    settings = "SCHEDULER_EXECUTOR=celery, one runner, else as Polaris"
    NUMBER: ClassVar[int] = 1

    def prepare(self) -> None:
        """Migrate."""
        self.polaris = Polaris(
            self.place.processes,
            carrier_url=self.place.carrier_url,
            database_url=self.place.database_url,
            SCHEDULER_WORKERS=str(PolarisRunners.WORKERS),
            SCHEDULER_EXECUTOR="celery",
            CELERY_BROKER_URL=self.place.redis_url,
        )
        self.polaris.migrate()

    def start(self) -> None:
        """Workers that are ready, then the runner that will find them."""
        self.children += self.polaris.start_workers(self.NUMBER)
        self.children += self.polaris.start_runners(1)


class PolarisCeleryTwo(PolarisCelery):
    """One runner and two workers."""

    name = "polaris-celery-2"
    title = "Polaris, Celery, 2 workers"
    NUMBER = 2
