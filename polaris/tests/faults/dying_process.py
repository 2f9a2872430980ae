"""A runner, a worker or a web process that kills itself, once, at a named step. For this suite.

    python -m polaris.tests.faults.dying_process STEP runner
    python -m polaris.tests.faults.dying_process STEP worker
    python -m polaris.tests.faults.dying_process STEP web PORT

Nothing in production knows of these steps: the function that stands at one is wrapped here. SIGKILL
cannot be caught, so no transaction is ended, no connection closed and no lease given back.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import django
import uvicorn
from django.apps import apps
from django.core.management import execute_from_command_line
from django.utils.module_loading import import_string

Condition = Callable[..., object]


@dataclass(frozen=True)
class Before:
    """Die instead of doing it, where the arguments are worth it."""

    seam: str
    if_: Condition = lambda *_, **__: True

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def die_first(*args: Any, **more: Any) -> Any:
            return die() if self.if_(*args, **more) else function(*args, **more)

        return die_first


@dataclass(frozen=True)
class After:
    """Do it and die, where the result is worth it."""

    seam: str
    if_: Condition = lambda _: True

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def die_afterwards(*args: Any, **more: Any) -> Any:
            result = function(*args, **more)
            return die() if self.if_(result) else result

        return die_afterwards


@dataclass(frozen=True)
class Fail:
    """Raise an error instead of doing it: what stands in for it is to die."""

    seam: str

    def around(self, _: Callable[..., Any]) -> Callable[..., Any]:
        def fail(*_: Any, **__: Any) -> NoReturn:
            raise RuntimeError("so that this suite sees what stands in for it")

        return fail


def die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise SystemExit  # never reached


def _something_is_due(*, moment: Any, **_: object) -> bool:
    rows: Any = apps.get_model("schedules", "ActiveSchedule")._default_manager
    return rows.due(moment).exists()


def _any_is_dialled(openings: Mapping[str, Any]) -> bool:
    return any(opening.log for opening in openings.values())


def _is_create(_client: object, method: str, uri: str, *_: object, **__: object) -> bool:
    return method.upper() == "POST" and uri.endswith("/Calls.json")


_CARRIER = "tracking.carriers.twilio.TwilioCarrier"

Change = Before | After | Fail

STEPS: Mapping[str, Change | tuple[Change, ...]] = {
    # A runner, in the order of a call's way.
    "before the claim": Before("schedules.jobstore.claim_due", _something_is_due),
    "within the claim": Before("schedules.gate.note", lambda admission: admission.taken),
    "between the claim and its schedule": Before("schedules.claims._tell_schedules", bool),
    "after the claim": After("schedules.jobstore.claim_due", bool),
    "within the opening of the ledger": After("tracking.opening._open", _any_is_dialled),
    "after the opening of the ledger": After("tracking.opening.open_claim", _any_is_dialled),
    "before the carrier is asked": Before(f"{_CARRIER}.place_call"),
    "before the create is sent": Before(
        "tracking.carriers.twilio_http.PooledHttpClient.request", _is_create
    ),
    "after the answer": After(f"{_CARRIER}.place_call"),
    "before the answer is written": Before("tracking.ledger.record_accepted"),
    "within the writing of the answer": After("tracking.ledger._write_together"),
    "after the answer is written": After("tracking.ledger.record_accepted"),
    "before a refusal is written": Before("tracking.refusals.write_down"),
    "before a refusal is settled": Before("tracking.ledger.settle"),
    "within a look-up": Before("tracking.following_up._look_up"),
    "before what was found is bound": Before("tracking.following_up._bind"),
    "before the proof of absence is written": Before("tracking.following_up._not_placed"),
    "within the proof of absence": After("tracking.ledger.close_unknown"),
    "after the proof of absence": After("tracking.following_up._not_placed"),
    "within a housekeeping job": Before("tracking.housekeeping.recover"),
    # The web process, when a webhook comes.
    "before a webhook is acted upon": Before("webhooks.inbox._take"),
    "within the report": After("tracking.reports.apply_to"),
    "before a schedule is settled by a webhook": Before("tracking.reports.settle_held"),
    "before a webhook is committed": After("webhooks.inbox.insert"),
    "after a webhook is acted upon": After("webhooks.inbox._take"),
    "before a webhook is kept by itself": (
        Fail("webhooks.inbox._take"),
        Before("webhooks.inbox._keep"),
    ),
    "after a webhook is kept by itself": (
        Fail("webhooks.inbox._take"),
        After("webhooks.inbox._keep"),
    ),
    "after a kept webhook is acted upon": (
        Fail("webhooks.inbox._take"),
        After("webhooks.inbox._process"),
    ),
}


def arrange_death_at(step: str) -> None:
    """Wrap the functions that stand at the step."""
    changes = STEPS[step]
    for change in changes if isinstance(changes, tuple) else (changes,):
        _arrange(change)


def _arrange(change: Change) -> None:
    path, _, name = change.seam.rpartition(".")
    try:
        owner = import_string(path)
    except ImportError:
        owner = __import__(path, fromlist=[name])
    setattr(owner, name, change.around(getattr(owner, name)))


def main(step: str, role: str, *rest: str) -> None:
    """Become that process."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "polaris.settings")
    django.setup()
    arrange_death_at(step)
    if role == "worker":
        import_string("polaris.celery.app").worker_main(["worker"])
    elif role == "web":
        uvicorn.run("polaris.asgi:application", host="127.0.0.1", port=int(rest[0]), lifespan="off")
    else:
        execute_from_command_line(["manage.py", "runapscheduler"])


if __name__ == "__main__":
    main(*sys.argv[1:])
