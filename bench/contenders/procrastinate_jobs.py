"""procrastinate: jobs in PostgreSQL with a time before which they are not fetched."""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor

from procrastinate import App, PsycopgConnector

from bench.contenders import job
from bench.contenders.base import THREADS, Call, Contender
from bench.contenders.orders import moment_of, read_calls, say

# NOTIFY tells of a job when it is deferred, not when its time comes: that is found by polling.
_POLL_SECONDS = 0.02

app = App(
    connector=PsycopgConnector(
        conninfo=os.environ.get("BENCH_DATABASE", ""), min_size=THREADS, max_size=THREADS + 2
    )
)


@app.task(name="dial")
def dial(phone: str) -> None:
    """The job."""
    job.dial(phone)


class ProcrastinateJobs(Contender):
    """A worker over the same PostgreSQL."""

    name = "procrastinate"
    title = "procrastinate"
    settings = (
        f"schedule_at, concurrency {THREADS}, polled every {1000 * _POLL_SECONDS:.0f} ms, "
        "jobs deleted when done"
    )

    def start(self) -> None:
        """One worker."""
        self.start_module("procrastinate_jobs", "worker", ready="ready")

    def schedule(self, calls: list[Call]) -> None:
        """As a web process would."""
        self.run_module("procrastinate_jobs", calls)


async def work() -> None:
    """Be a worker until ended."""
    # asyncio's own executor has two threads fewer than the jobs need on a machine of two cores.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        say("ready")
        await app.run_worker_async(
            concurrency=THREADS,
            fetch_job_polling_interval=_POLL_SECONDS,
            delete_jobs="always",
        )


async def hand_over() -> None:
    """Hand the calls over."""
    async with app.open_async():
        for phone, moment in read_calls():
            await dial.configure(schedule_at=moment_of(moment)).defer_async(phone=phone)


if __name__ == "__main__":
    asyncio.run(work() if sys.argv[1:] == ["worker"] else hand_over())
