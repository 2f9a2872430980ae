"""django-apscheduler as its README shows it: one date job a call in its job store."""

import os

import django
import environ
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from django.conf import settings
from django.core.management import call_command

from bench.contenders.apscheduler_sqlalchemy import LATE_IS_FINE, main
from bench.contenders.base import THREADS, InOneProcess


class RawDjangoApscheduler(InOneProcess):
    """A background scheduler; only jobs that its own process adds are run on time."""

    name = "django-apscheduler"
    title = "django-apscheduler"
    settings = f"{THREADS} threads, connections kept, no grace time, coalescing"
    module = "raw_django_apscheduler"


def build() -> BackgroundScheduler:
    """A scheduler over a freshly migrated database."""
    database = environ.Env.db_url_config(os.environ["BENCH_DATABASE"]) | {"CONN_MAX_AGE": None}
    settings.configure(
        DATABASES={"default": database},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        INSTALLED_APPS=["django_apscheduler"],
        USE_TZ=True,
    )
    django.setup()
    call_command("migrate", verbosity=0)
    # Its models can be imported only now.
    from django_apscheduler.jobstores import DjangoJobStore  # noqa: PLC0415

    return BackgroundScheduler(
        jobstores={"default": DjangoJobStore()},
        executors={"default": ThreadPoolExecutor(THREADS)},
        job_defaults=LATE_IS_FINE,
        timezone="UTC",
    )


if __name__ == "__main__":
    main(build())
