"""What every contender can do: start, take calls that are due later, stop."""

from dataclasses import dataclass
from typing import ClassVar

from bench.databases import execute
from bench.processes import Child, Processes, end

# A call to make: its number, and when, in seconds since the epoch.
Call = tuple[str, float]

# Threads (or what stands for them) of every contender that has a number of them to choose.
THREADS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """What a contender finds: a carrier, a database of its own, an empty Redis database."""

    processes: Processes
    carrier_url: str
    database_url: str
    redis_url: str

    @property
    def environment(self) -> dict[str, str]:
        """The place as a contender's processes read it."""
        return {
            "BENCH_CARRIER": self.carrier_url,
            "BENCH_DATABASE": self.database_url,
            "BENCH_REDIS": self.redis_url,
        }


class Contender:
    """One way to make calls on time; each file of this folder has one."""

    name: ClassVar[str]
    title: ClassVar[str]
    is_peer: ClassVar[bool] = True
    # How a knowledgeable user would set it up for this job; shown beside its figures.
    settings: ClassVar[str]
    # Gives how many calls have been written down as placed; "" where none ever is.
    rows: ClassVar[str] = "SELECT count(*) FROM calls"

    def __init__(self, place: Place) -> None:
        self.place = place
        self.children: list[Child] = []

    def prepare(self) -> None:
        """Lay out the database before anything is timed."""
        execute(
            self.place.database_url,
            "CREATE TABLE calls (id bigserial PRIMARY KEY, phone text NOT NULL, "
            "call_id text NOT NULL, dialled_at timestamptz NOT NULL DEFAULT now())",
        )

    def start(self) -> None:
        """Start the processes that will make the calls, and wait until they are idle."""
        raise NotImplementedError

    def schedule(self, calls: list[Call]) -> None:
        """Hand the calls over, the way its users do; returns when all have been taken."""
        raise NotImplementedError

    def stop(self) -> None:
        """End its processes in good order."""
        end(self.children)

    def start_module(self, module: str, *arguments: str, ready: str) -> Child:
        """Start a module of this folder and wait until it has printed `ready`."""
        command = ["-m", f"bench.contenders.{module}", *arguments]
        child = self.place.processes.start(self.name, command, **self.place.environment)
        self.children.append(child)
        child.wait_for(ready)
        return child

    def run_module(self, module: str, calls: list[Call]) -> None:
        """Run a module of this folder that hands the calls over to other processes."""
        command = ["-m", f"bench.contenders.{module}"]
        self.place.processes.run(f"{self.name}-hand", command, calls, **self.place.environment)


class InOneProcess(Contender):
    """A contender that must be given its calls by the very process that makes them."""

    module: ClassVar[str]

    def start(self) -> None:
        """Start it; the calls come by its standard input."""
        self.start_module(self.module, ready="ready")

    def schedule(self, calls: list[Call]) -> None:
        """Tell it the calls."""
        self.children[0].tell(calls)
        self.children[0].wait_for("taken")
