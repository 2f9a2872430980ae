"""Polaris as it is deployed: real processes over a scratch database and the loopback carrier."""

import contextlib
import http.client
import json
import socket
from typing import Any

from bench.account import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER
from bench.processes import Child, Processes, wait_until

_SECRET = "a secret key of the bench, as long as one of a real deployment would be"
_KEY = "YSBrZXkgb2YgdGhlIGJlbmNoLCAzMiBieXRlcyBsb24"


class Polaris:
    """Web processes and runners that share a database. Every guarantee is on."""

    def __init__(
        self,
        processes: Processes,
        *,
        carrier_url: str,
        database_url: str,
        settings: str = "polaris.settings",
        **environment: str,
    ) -> None:
        self._processes = processes
        self.database_url = database_url
        self.web_port = _free_port()
        self.webhook_url = f"http://127.0.0.1:{self.web_port}/webhook/call-status"
        self.children: list[Child] = []
        self._environment = {
            "DJANGO_SETTINGS_MODULE": settings,
            "ENV_FILE": "/dev/null",
            "SECRET_KEY": _SECRET,
            "ENCRYPTION_KEYS": _KEY,
            "LOOKUP_KEYS": _KEY,
            "HTTPS_ONLY": "false",
            "DATABASE_URL": database_url,
            "MONGODB_URL": "",
            "TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TWILIO_AUTH_TOKEN": AUTH_TOKEN,
            "TWILIO_FROM_NUMBER": FROM_NUMBER,
            "TWILIO_WEBHOOK_URL": self.webhook_url,
            "TWILIO_VOICE_URL": "",
            "TWILIO_API_BASE_URL": carrier_url,
            # Paced, as every deployment is: at a rate that no contender comes near.
            "CALLS_PER_SECOND": "5000",
        } | environment

    def manage(self, *command: str) -> None:
        """Run a management command."""
        self._processes.run("manage", ["manage.py", *command], **self._environment)

    def migrate(self) -> None:
        """Lay out the database."""
        self.manage("migrate", "--verbosity", "0")

    def rows(self, what: str, message: Any = None) -> Any:
        """Have bench/polaris_rows.py write rows; returns what it tells."""
        command = ["-m", "bench.polaris_rows", what]
        told = self._processes.run(f"rows-{what}", command, message, **self._environment)
        return json.loads(told.strip().splitlines()[-1])

    def start_runners(self, count: int) -> list[Child]:
        """Runners that have signed in and are idle."""
        started = [
            self._processes.start("runner", ["manage.py", "runapscheduler"], **self._environment)
            for _ in range(count)
        ]
        self.children += started
        for runner in started:
            runner.wait_for("dials what is due")
        return started

    def start_workers(self, count: int) -> list[Child]:
        """Celery's workers, ready for what runners hand over."""
        options = ["--loglevel", "INFO", "--without-gossip", "--without-mingle"]
        command = ["-m", "celery", "-A", "polaris", "worker", *options]
        started = [
            self._processes.start("worker", command, **self._environment) for _ in range(count)
        ]
        self.children += started
        for worker in started:
            worker.wait_for(" ready.")
        return started

    def run_module(self, module: str, *arguments: str) -> str:
        """Run a module of the bench in this environment to its end; returns what it printed."""
        return self._processes.run(module, ["-m", module, *arguments], **self._environment)

    def start_claimer(self, batch: int) -> Child:
        """A process that claims what is due in such batches (bench/claimer.py), once it is told."""
        command = ["-m", "bench.claimer", str(batch)]
        claimer = self._processes.start("claimer", command, **self._environment)
        self.children.append(claimer)
        claimer.wait_for("ready")
        return claimer

    def start_web(self) -> Child:
        """One web process that answers, started as README says."""
        command = ["-m", "uvicorn", "polaris.asgi:application", "--host", "127.0.0.1"]
        options = ["--port", str(self.web_port), "--lifespan", "off", "--no-access-log"]
        options += ["--no-proxy-headers"]
        web = self._processes.start("web", [*command, *options], **self._environment)
        self.children.append(web)
        wait_until(self._answers, what="the web process answers")
        return web

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=20)
            with contextlib.closing(connection):
                connection.request("GET", "/schedule/")
                return connection.getresponse().status == http.HTTPStatus.UNAUTHORIZED
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
