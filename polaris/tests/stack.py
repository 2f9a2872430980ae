"""Real processes over the test database: the web process, runners, a carrier."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import requests
from django.conf import settings
from django.db import connection

from schedules.models import Runner
from tracking.simulator.testing import SimulatedCarrier

HOME = Path(settings.BASE_DIR)
PATIENCE = 30  # seconds; a limit for a machine under load, not a claim


def wait_until(condition: Callable[[], Any], *, what: str, patience: float = PATIENCE) -> Any:
    """Polls until `condition` is true and returns what it gave."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"in vain: {what}")


class Stack:
    """Starts processes that share this test's database, and ends them."""

    def __init__(self, carrier: SimulatedCarrier, logs: Path) -> None:
        self.carrier = carrier
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._logs = logs
        self._processes: list[subprocess.Popen[bytes]] = []
        self._headers: dict[str, str] = {}
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "polaris.settings",
            "ENV_FILE": os.devnull,
            "SECRET_KEY": settings.SECRET_KEY,
            "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS),
            "LOOKUP_KEYS": ",".join(settings.LOOKUP_KEYS),
            "HTTPS_ONLY": "false",
            **which_database(),
            "TWILIO_ACCOUNT_SID": settings.TWILIO_ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": settings.TWILIO_AUTH_TOKEN,
            "TWILIO_FROM_NUMBER": settings.TWILIO_FROM_NUMBER,
            "TWILIO_WEBHOOK_URL": f"{self.url}/webhook/call-status",
            "TWILIO_API_BASE_URL": carrier.url,
            "CALLS_PER_SECOND": "0",
        }

    def start_web(self, *, behind_tls: bool = False) -> None:
        """The web process, ready for requests; those that come `behind_tls` say so."""
        self._headers = {"X-Forwarded-Proto": "https"} if behind_tls else {}
        command = [sys.executable, "-m", "uvicorn", "polaris.asgi:application"]
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--lifespan", "off"]
        options += ["--no-proxy-headers"]
        self._start("web", [*command, *options])
        wait_until(self._answers, what="the web process answers")

    def start_runner(
        self, *, within: Sequence[str] = (), **environment: str
    ) -> subprocess.Popen[bytes]:
        """A runner that has signed in, started `within` another command."""
        before = Runner.objects.count()
        command = [*within, sys.executable, "manage.py", "runapscheduler"]
        runner = self._start("runner", command, environment)
        wait_until(lambda: Runner.objects.count() > before, what="a runner has signed in")
        return runner

    def start_worker(self, **environment: str) -> subprocess.Popen[bytes]:
        """A Celery worker that has signed in and waits for what it is handed."""
        before, ready = Runner.objects.count(), self.times_logged("worker", " ready.")
        command = [sys.executable, "-m", "celery", "-A", "polaris", "worker"]
        worker = self._start("worker", command, environment)
        wait_until(lambda: Runner.objects.count() > before, what="a worker has signed in")
        wait_until(lambda: self.times_logged("worker", " ready.") > ready, what="a worker is ready")
        return worker

    def times_logged(self, name: str, words: str) -> int:
        """How often the processes of that name have printed this."""
        log = self._logs / f"{name}.log"
        return log.read_text().count(words) if log.exists() else 0

    def start_command(self, name: str) -> None:
        """A management command that goes on running."""
        self._start(name, [sys.executable, "manage.py", name])

    def log_of(self, name: str) -> str:
        """What a process has printed."""
        return (self._logs / f"{name}.log").read_text()

    def stop(self) -> None:
        """End every process that still runs."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)
            process.kill()
            process.wait()

    def _start(
        self, name: str, command: list[str], environment: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        with (self._logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=HOME,
                env=self.environment | (environment or {}),
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def _answers(self) -> bool:
        with suppress(requests.ConnectionError):
            address = f"{self.url}/api/schema"
            return requests.get(address, headers=self._headers, timeout=PATIENCE).ok
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def which_database() -> dict[str, str]:
    """The variables by which a process chooses the test database."""
    if connection.vendor == "mongodb":
        database = connection.settings_dict
        chosen = {"MONGODB_URL": database["HOST"], "DATABASE_NAME": database["NAME"]}
        return {"DATABASE_URL": "", **chosen}
    return {"DATABASE_URL": database_url(), "MONGODB_URL": ""}


def database_url() -> str:
    """The address of a test database that speaks SQL."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{database['NAME']}"
    user = f"{database['USER']}:{database['PASSWORD']}@" if database["USER"] else ""
    host = f"{database['HOST'] or '127.0.0.1'}:{database['PORT'] or 5432}"
    return f"postgres://{user}{host}/{database['NAME']}"
