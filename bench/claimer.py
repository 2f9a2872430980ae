"""Claims what is due and deals with it, as fast as the engine's own functions let it, in batches.

A process of Polaris's environment. It prints "ready", and at a line of input begins; it ends when
nothing is due any more, and tells what it did as JSON.

    python -m bench.claimer BATCH
"""

import json
import sys
import time

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from bench.cpu import cpu_seconds  # noqa: E402
from polaris.audit.acting import this_process_is  # noqa: E402
from polaris.database import keep_connections  # noqa: E402
from schedules import runner  # noqa: E402
from schedules.claims import claim_due  # noqa: E402
from schedules.models import ActiveSchedule  # noqa: E402
from tracking import ledger  # noqa: E402
from tracking.carriers import get_carrier  # noqa: E402
from tracking.dialling import prepare, request_of  # noqa: E402
from tracking.opening import Opening, open_claim  # noqa: E402


def main(batch: int) -> None:
    """Steps: claim; open the ledger and commit; ask the carrier for each; write the answers."""
    prepare()
    keep_connections(checked=False)
    runner.spare_what_is_loaded()
    me = runner.register()
    this_process_is(me.pk)
    print("ready", flush=True)
    sys.stdin.readline()
    told = {"placed": 0, "claims": 0, "began": time.time(), "cpu": -time.process_time()}
    connection.ensure_connection()
    backend = connection.connection.info.backend_pid
    told["database_cpu"] = -cpu_seconds(backend)
    steps = {"claim": 0.0, "open": 0.0, "dial": 0.0, "record": 0.0}
    while True:
        watch = Watch(steps)
        claims = claim_due(
            runner_id=me.pk,
            moment=timezone.now(),
            limit=batch,
            lease=settings.SCHEDULER_LEASE,
            are_queued=False,
        )
        watch.lap("claim")
        if not claims:
            if ActiveSchedule.objects.due(timezone.now()).exists():
                continue  # the gate holds them back, or another process has them locked
            break
        openings = open_claim(claims[0].lease)
        watch.lap("open")
        slots = {armed.pk: armed.begins_at for armed in claims}
        answers = [_ask(each, slots[key]) for key, each in openings.items() if each.log]
        watch.lap("dial")
        ledger.record_accepted(answers)
        watch.lap("record")
        told["placed"] += len(answers)
        told["claims"] += 1
    told["cpu"] += time.process_time()
    told["database_cpu"] += cpu_seconds(backend)
    told["ended"] = time.time()
    print(json.dumps(told | {"steps": steps}))


def _ask(opening: Opening, begins_at: timezone.datetime) -> ledger.Accepted:
    left = (begins_at - timezone.now()).total_seconds()
    if left > 0:
        time.sleep(left)
    armed, log = opening.armed, opening.log
    asked_at = timezone.now()
    answer = get_carrier().place_call(request_of(armed, log))
    return ledger.Accepted(armed, log, answer, asked_at)


class Watch:
    """Adds the time of each step to its sum."""

    def __init__(self, steps: dict[str, float]) -> None:
        self._steps = steps
        self._since = time.perf_counter()

    def lap(self, step: str) -> None:
        """The step that ends now."""
        now = time.perf_counter()
        self._steps[step] += now - self._since
        self._since = now


if __name__ == "__main__":
    main(int(sys.argv[1]))
