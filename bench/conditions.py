"""Under what conditions the figures were made."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import redis

from bench.databases import Server
from bench.processes import HOME

_PACKAGES = [
    "Django", "djangorestframework", "uvicorn", "twilio", "requests", "psycopg", "APScheduler",
    "django-apscheduler", "SQLAlchemy", "celery", "redis", "procrastinate", "huey",
]  # fmt: skip


def conditions(server: Server, redis_url: str, options: dict[str, Any]) -> dict[str, Any]:
    """The machine, the versions, the options, and how busy it was at the start."""
    with redis.Redis.from_url(redis_url) as broker:
        redis_version = broker.info("server")["redis_version"]
    return {
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgresql": server.conditions(),
        "redis": redis_version,
        "packages": {name: version(name) for name in _PACKAGES},
        "commit": _git("rev-parse", "--short", "HEAD"),
        "changed_files": len(_git("status", "--porcelain", "--untracked-files=no").splitlines()),
        "load_average": os.getloadavg(),
        "options": options,
    }


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        if line.startswith(name):
            return line.partition(":")[2].strip()
    return ""


def _git(*command: str) -> str:
    done = subprocess.run(["git", *command], cwd=HOME, capture_output=True, text=True, check=False)
    return done.stdout.strip()
