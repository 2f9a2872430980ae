"""PostgreSQL goes away under load and comes back: nothing is lost or doubled.

On a cluster of its own, whatever database the suite runs on. FAULTS_ROUNDS=10 keeps it away for
half a minute.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from polaris.tests.faults.engine import PATIENCE, ROUNDS, Engine, moment, number
from polaris.tests.faults.evidence import creates
from polaris.tests.stack import HOME, wait_until
from tracking.simulator.testing import SimulatedCarrier

psycopg = pytest.importorskip("psycopg")
pytestmark = pytest.mark.faults

AWAY_SECONDS = 3 * ROUNDS
CALLS = 60
USER, PASSWORD = "client", "a client's password"


class Cluster:
    """A PostgreSQL of its own on a free port."""

    def __init__(self, folder: Path, binaries: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        self._binaries, self._folder = binaries, folder
        self._as: list[str] = []
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(folder, "nobody")
            self._as = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        self._do("initdb", "-U", "postgres", "-A", "trust")

    def start(self) -> None:
        options = f"-h 127.0.0.1 -p {self.port} -k '' -c fsync=off"
        self._do(
            "pg_ctl", "-w", "-t", str(PATIENCE), "-l", f"{self._folder}/log", "-o", options, "start"
        )

    def stop(self, mode: str) -> None:
        """`fast` ends every connection in good order, `immediate` as a crash does."""
        self._do("pg_ctl", "-w", "-t", str(PATIENCE), "-m", mode, "stop")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url.replace("postgres://", "postgresql://")) as connection:
            return connection.execute(query).fetchall()

    def _do(self, program: str, *options: str) -> None:
        command = [*self._as, str(self._binaries / program), "-D", f"{self._folder}/data"]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, cwd="/")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Made anew, and gone afterwards; skips where there are no binaries."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("there are no PostgreSQL binaries on this machine")
    folder = Path(tempfile.mkdtemp(prefix="polaris-outage-"))
    cluster = Cluster(folder, found[-1].parent)
    cluster.start()
    yield cluster
    with suppress(subprocess.CalledProcessError):
        cluster.stop("immediate")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def outage(carrier: SimulatedCarrier, cluster: Cluster, tmp_path: Path) -> Iterator[Engine]:
    """The engine over that cluster, with tables and a client."""
    engine = Engine(carrier, tmp_path)
    engine.environment |= {
        "DATABASE_URL": cluster.url,
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        "CALLS_PER_SECOND": "30",
    }
    _manage(engine, "migrate", "--verbosity", "0")
    _manage(engine, "flush", "--noinput", "--verbosity", "0")
    _manage(engine, "createsuperuser", "--noinput", "--username", USER, "--email", "a@b.example")
    yield engine
    engine.stop()
    for log in tmp_path.glob("*.log"):
        print(f"-- {log.name}\n{log.read_text()}")  # noqa: T201


def _manage(engine: Engine, *command: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", *command], check=True, cwd=HOME, env=engine.environment
    )


class Client:
    """The API, which may be away."""

    def __init__(self, url: str) -> None:
        self._url = url
        answer = requests.post(
            f"{url}/auth/token", json={"username": USER, "password": PASSWORD}, timeout=PATIENCE
        )
        self._headers = {"Authorization": f"Bearer {answer.json()['access']}"}

    def schedule(self, at: datetime, ending: str = "99") -> int:
        """The answer's status."""
        body = {"phone": number(ending), "scheduled_time": at.isoformat()}
        answer = requests.post(
            f"{self._url}/schedule/", json=body, headers=self._headers, timeout=PATIENCE
        )
        return answer.status_code


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_the_database_goes_away_under_load_and_comes_back(
    outage: Engine, cluster: Cluster, mode: str
):
    """Calls are due before, during and after; webhooks come and schedules are asked for meanwhile.

    A database that crashes has committed some writes whose answers never came."""
    outage.start_web()
    for _ in range(2):
        outage.start_without_waiting()
    client = Client(outage.url)
    begin, span = moment(4), 4 + AWAY_SECONDS
    endings = ["99", "99", "15", "20", "01", "23"]
    for n in range(CALLS):
        at = begin + timedelta(seconds=span * n / CALLS)
        assert client.schedule(at, endings[n % len(endings)]) == 200
    wait_until(lambda: outage.carrier.accepted() >= CALLS / 6, what="some calls", patience=PATIENCE)

    cluster.stop(mode)
    refused = [client.schedule(moment(5)) for _ in range(3)]
    time.sleep(AWAY_SECONDS)
    cluster.start()

    assert all(status >= 500 for status in refused)
    wait_until(lambda: _is_again(client), what="the API is back", patience=PATIENCE)
    wait_until(
        lambda: _is_at_rest(outage, cluster),
        what="everything has been dealt with",
        patience=PATIENCE,
    )

    placed = creates(outage.carrier)
    assert max(map(len, placed.values())) == 1
    logs = cluster.rows(
        "SELECT id, schedule_id, attempt, status, call_id, error_code FROM call_logs"
    )
    assert {log: sids[0] for log, sids in placed.items()} == {
        row[0]: row[4] for row in logs if row[4]
    }
    dialled = Counter(row[1] for row in logs if row[4])
    assert max(dialled.values()) == 1, "one accepted create for each one-time schedule"
    schedules = cluster.rows("SELECT id, status FROM call_schedules")
    assert len(schedules) == CALLS + 1
    assert set(dialled) == {row[0] for row in schedules}
    for row in logs:
        assert row[4] or row[5] == "not_placed", row
    processes = [process.poll() for process in outage._processes]
    assert processes == [None] * 3, "nobody has given up"


def _is_again(client: Client) -> bool:
    return client.schedule(moment(1)) == 200


def _is_at_rest(engine: Engine, cluster: Cluster) -> bool:
    """As time would do, what is to be looked at within a minute is looked at now, and calls that
    never tell anything are asked for. Those that told it while the database was away must be among
    the first."""
    unheard = [call["sid"] for call in engine.carrier.calls() if call["outcome"] == "No webhooks"]
    with psycopg.connect(cluster.url.replace("postgres://", "postgresql://")) as connection:
        connection.execute(
            "UPDATE call_logs SET next_check_at = now() WHERE end_time IS NULL AND"
            " (call_id = ANY(%s) AND next_check_at > now() + interval '65 seconds' OR next_check_at"
            " BETWEEN now() + interval '15 seconds' AND now() + interval '61 seconds')",
            [unheard],
        )
    ((open_ones,),) = cluster.rows(
        "SELECT count(*) FROM call_schedules WHERE status NOT IN ('completed', 'failed')"
    )
    ((live,),) = cluster.rows("SELECT count(*) FROM call_logs WHERE end_time IS NULL")
    return not open_ones and not live
