"""Polaris: schedules made by its service, real runners, the SDK, a ledger row before every call."""

from typing import ClassVar

from bench.contenders.base import Call, Contender
from bench.polaris import Polaris


class PolarisRunners(Contender):
    """Runner processes over one database."""

    name = "polaris"
    title = "Polaris"
    is_peer = False
    settings = ""
    rows = "SELECT count(*) FROM call_logs WHERE call_id <> ''"

    # Set by the command line: as many as serve it best on the machine's cores.
    RUNNERS: ClassVar[int] = 2
    WORKERS: ClassVar[int] = 8

    def prepare(self) -> None:
        """Migrate."""
        self.polaris = Polaris(
            self.place.processes,
            carrier_url=self.place.carrier_url,
            database_url=self.place.database_url,
            SCHEDULER_WORKERS=str(self.WORKERS),
        )
        self.polaris.migrate()

    def start(self) -> None:
        """Runners that have signed in."""
        self.children += self.polaris.start_runners(self.RUNNERS)

    def schedule(self, calls: list[Call]) -> None:
        """Through the service, as the API does."""
        self.polaris.rows("calls", calls)

    @classmethod
    def set_up(cls, *, runners: int, workers: int) -> None:
        """As many processes and threads as serve it best on this machine."""
        cls.RUNNERS, cls.WORKERS = runners, workers
        cls.settings = (
            f"{runners} runners, SCHEDULER_WORKERS={workers}, CALLS_PER_SECOND=5000, "
            "ledger, leases and the SDK on"
        )
