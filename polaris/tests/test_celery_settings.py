"""Celery is asked for by name, and refused in one line where it could not be used."""

from importlib.util import find_spec

import pytest

from polaris.tests.test_environment import start

BROKER = {"CELERY_BROKER_URL": "redis://me:secret@127.0.0.1:1/0"}
CELERY = {"SCHEDULER_EXECUTOR": "celery"} | BROKER
WORKER = ("-m", "celery", "-A", "polaris", "worker")
# manage.py check, with no Celery and no client of Redis to be found.
WITHOUT_PACKAGES = """
import runpy, sys
sys.modules["celery"] = sys.modules["redis"] = None
sys.argv = ["manage.py", "check"]
runpy.run_path("manage.py", run_name="__main__")
"""
# What a runner does, before it signs in.
BUILD = """
import django, sys
sys.modules["celery"] = sys.modules["redis"] = sys.modules["kombu"] = None
django.setup()
from schedules.management.commands import runapscheduler
from tracking import dialling
from django.conf import settings
from django.utils.module_loading import import_string
print(import_string(settings.SCHEDULER_EXECUTORS[settings.SCHEDULER_EXECUTOR]).__name__)
print("polaris.celery" in sys.modules)
"""
# A worker in whose start something goes wrong that nobody has thought of.
BROKEN_WORKER = """
import sys
from polaris.celery import app
from schedules import runner
def broken(): raise RuntimeError("unforeseen")
runner.step_back = broken
app.worker_main(["worker"])
"""
needs_celery = pytest.mark.skipif(
    find_spec("celery") is None, reason="Celery is not installed (requirements-optional.txt)"
)


def only_line(done) -> str:
    (line,) = done.stderr.strip().splitlines()
    return line


def last_line(done) -> str:
    """Before it Celery warns those who start it as root."""
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def test_threads_need_no_celery():
    done = start("-c", BUILD, DJANGO_SETTINGS_MODULE="polaris.settings")

    assert (done.returncode, done.stdout.split()) == (0, ["CallExecutor", "False"]), done.stderr


def test_no_broker_is_refused():
    done = start("manage.py", "check", SCHEDULER_EXECUTOR="celery")

    assert done.returncode == 1
    assert only_line(done) == (
        "polaris: SCHEDULER_EXECUTOR is celery, but CELERY_BROKER_URL is not set."
    )


def test_a_missing_package_is_refused():
    done = start("-c", WITHOUT_PACKAGES, **CELERY)

    assert done.returncode == 1
    assert only_line(done) == (
        "polaris: SCHEDULER_EXECUTOR is celery, but celery[redis] is not installed: "
        "pip install -r requirements-optional.txt"
    )


@needs_celery
def test_all_that_it_needs_is_taken():
    done = start("manage.py", "check", **CELERY)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "address",
    [
        "amqp://me:secret@127.0.0.1",
        "redis://",
        "redis://me:secret@",
        "127.0.0.1:6379",
        "redis://me:secret@127.0.0.1/polaris",
        "redis://me:secret@127.0.0.1/0/1",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(address):
    done = start("manage.py", "check", CELERY_BROKER_URL=address)

    assert done.returncode == 1
    assert only_line(done).startswith("polaris: CELERY_BROKER_URL is ")
    assert "secret" not in done.stderr


@needs_celery
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "polaris: SCHEDULER_EXECUTOR is threads, so runners hand nothing to workers"),
        ({"SCHEDULER_EXECUTOR": "celery"}, "polaris: SCHEDULER_EXECUTOR is celery, but CELERY_BR"),
        (CELERY, "polaris: TWILIO_"),
    ],
    ids=["threads", "no broker", "no carrier"],
)
def test_a_worker_that_could_not_dial_is_refused(variables, said):
    done = start(*WORKER, **variables)

    assert done.returncode == 1
    assert last_line(done).startswith(said)


@needs_celery
def test_a_worker_has_threads():
    """Processes would share neither the ledger's connections nor its batches."""
    done = start(*WORKER, "--pool", "solo", **CELERY)

    assert done.returncode == 1
    assert last_line(done) == "polaris: a worker of Polaris has threads: start it without --pool."


@needs_celery
def test_a_worker_that_could_not_sign_in_does_not_go_on():
    """Celery logs what a signal's receiver raises, and starts all the same."""
    done = start("-c", BROKEN_WORKER, **CELERY)

    assert done.returncode == 1
    assert "RuntimeError: unforeseen" in done.stderr
    assert done.stderr.strip().splitlines()[-1] == (
        "polaris: the worker cannot start, as the log says."
    )
