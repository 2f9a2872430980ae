"""APScheduler with its SQLAlchemy job store: one date job a call, in one process."""

import os

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from bench.contenders import job
from bench.contenders.base import THREADS, InOneProcess
from bench.contenders.orders import moment_of, read_calls, say, wait_for_the_end


class ApschedulerSqlalchemy(InOneProcess):
    """A background scheduler; only jobs that its own process adds are run on time."""

    name = "apscheduler"
    title = "APScheduler/SQLAlchemy"
    settings = f"{THREADS} threads, psycopg, no grace time, coalescing"
    module = "apscheduler_sqlalchemy"


def build() -> BackgroundScheduler:
    """A scheduler that never drops a late job."""
    address = os.environ["BENCH_DATABASE"].replace("postgres://", "postgresql+psycopg://")
    return BackgroundScheduler(
        jobstores={"default": SQLAlchemyJobStore(url=address)},
        executors={"default": ThreadPoolExecutor(THREADS)},
        job_defaults=LATE_IS_FINE,
        timezone="UTC",
    )


LATE_IS_FINE = {"misfire_grace_time": None, "coalesce": True}


def main(scheduler: BackgroundScheduler) -> None:
    """Run the scheduler, give it the calls that are told, and wait to be ended."""
    scheduler.start()
    say("ready")
    for phone, moment in read_calls():
        scheduler.add_job(job.dial, "date", run_date=moment_of(moment), args=[phone])
    say("taken")
    wait_for_the_end()
    scheduler.shutdown()


if __name__ == "__main__":
    main(build())
