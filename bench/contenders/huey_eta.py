"""huey: tasks with an ETA in Redis, run by a consumer with threads."""

import os

from huey import RedisHuey

from bench.contenders import job
from bench.contenders.base import THREADS, Call, Contender
from bench.contenders.orders import moment_of, read_calls

# Blocking reads: a worker takes a task the moment it is in the queue.
huey = RedisHuey("bench", url=os.environ.get("BENCH_REDIS"), results=False, blocking=True)


@huey.task()
def dial(phone: str) -> None:
    """The job."""
    job.dial(phone)


class HueyEta(Contender):
    """One consumer."""

    name = "huey"
    title = "huey"
    # A second is the shortest interval that huey allows between two looks at what is due.
    settings = f"ETA, Redis, {THREADS} threads, results off, scheduler interval 1 s (its least)"

    def start(self) -> None:
        """The consumer, without periodic tasks."""
        options = ["--workers", str(THREADS), "--worker-type", "thread", "--no-periodic"]
        command = ["-m", "huey.bin.huey_consumer", "bench.contenders.huey_eta.huey", *options]
        timing = ["--scheduler-interval", "1", "--simple"]
        consumer = self.place.processes.start(
            self.name, [*command, *timing], **self.place.environment
        )
        self.children.append(consumer)
        consumer.wait_for("commands are available")

    def schedule(self, calls: list[Call]) -> None:
        """As a web process would."""
        self.run_module("huey_eta", calls)


def main() -> None:
    """Hand the calls over."""
    # The task's own module, under the name by which the consumer knows it.
    from bench.contenders.huey_eta import dial as task  # noqa: PLC0415

    for phone, moment in read_calls():
        task.schedule((phone,), eta=moment_of(moment))


if __name__ == "__main__":
    main()
