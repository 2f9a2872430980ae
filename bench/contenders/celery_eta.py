"""Celery: tasks with an ETA, Redis as the broker."""

import os

from celery import Celery

from bench.contenders import job
from bench.contenders.base import THREADS, Call, Contender
from bench.contenders.orders import moment_of, read_calls

app = Celery("bench", broker=os.environ.get("BENCH_REDIS"))
app.conf.update(
    task_ignore_result=True,
    task_store_errors_even_if_ignored=False,
    worker_send_task_events=False,
    task_send_sent_event=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 24 * 3600},
    worker_prefetch_multiplier=4,
)

_LEAN = "results and events off, without gossip and mingle"


@app.task(name="dial")
def dial(phone: str) -> None:
    """The job."""
    job.dial(phone)


class CeleryEta(Contender):
    """A worker with threads, which holds the tasks until their time."""

    name = "celery"
    title = "Celery, threads"
    settings = f"ETA, Redis, {THREADS} threads, {_LEAN}"
    pool = ("--pool", "threads", "--concurrency", str(THREADS))

    def start(self) -> None:
        """One worker."""
        options = ["--loglevel", "INFO", "--without-gossip", "--without-mingle", *self.pool]
        command = ["-m", "celery", "-A", "bench.contenders.celery_eta", "worker", *options]
        worker = self.place.processes.start(self.name, command, **self.place.environment)
        self.children.append(worker)
        worker.wait_for(" ready.")

    def schedule(self, calls: list[Call]) -> None:
        """As a web process would."""
        self.run_module("celery_eta", calls)


class CeleryPrefork(CeleryEta):
    """A worker with a process for each of two cores; more of them do worse there."""

    name = "celery-prefork"
    title = "Celery, prefork"
    settings = f"ETA, Redis, prefork of 2, {_LEAN}"
    pool = ("--pool", "prefork", "--concurrency", "2")


def main() -> None:
    """Hand the calls over."""
    with app.producer_pool.acquire(block=True) as producer:
        for phone, moment in read_calls():
            dial.apply_async((phone,), eta=moment_of(moment), producer=producer)


if __name__ == "__main__":
    main()
