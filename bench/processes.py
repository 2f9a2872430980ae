"""Child processes of a run: each prints into a log of its own, and none outlives the run."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parent.parent
PATIENCE = 60  # seconds; a limit for a machine under load, not a claim
_PR_SET_PDEATHSIG = 1


class Failed(Exception):
    """A part of the bench did not do what it should."""


def wait_until(condition: Callable[[], Any], *, what: str, patience: float = PATIENCE) -> Any:
    """Poll until `condition` is true and return what it gave. Raises Failed."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise Failed(f"in vain: {what}")


class Child:
    """A process and its log."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str]) -> None:
        self._log = log
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=HOME,
                env=os.environ | environment,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 (started from one thread)
            )

    @property
    def pid(self) -> int:
        """Its number."""
        return self.process.pid

    def printed(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    def wait_for(self, text: str) -> str:
        """Wait until it has printed `text`; returns all it has printed. Raises Failed."""

        def said() -> str:
            if self.process.poll() is not None:
                raise Failed(f"it ended with {self.process.returncode}:\n{self.printed()[-3000:]}")
            return self.printed() if text in self.printed() else ""

        return wait_until(said, what=f"{text!r} in {self._log}")

    def tell(self, message: object) -> None:
        """Write a line of JSON to its standard input."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def resident(self) -> int:
        """Bytes of memory that it holds, with the processes that it has started."""
        return sum(_resident(pid) for pid in _family(self.pid))


class Processes:
    """Starts children, and ends those that still run."""

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        self._started = 0
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, name: str, command: list[str], **environment: str) -> Child:
        """Start Python with `command`."""
        self._started += 1
        return Child(command, self._logs / f"{self._started:04d}-{name}.log", environment)

    def run(self, name: str, command: list[str], message: object = None, **environment: str) -> str:
        """Run Python with `command` to its end; returns what it printed. Raises Failed."""
        child = self.start(name, command, **environment)
        child.process.communicate(json.dumps(message).encode())
        if child.process.returncode:
            raise Failed(f"{' '.join(command)}:\n{child.printed()[-3000:]}")
        return child.printed()


def end(children: Iterable[Child], *, with_signal: int = signal.SIGTERM) -> None:
    """End children in good order, or kill them."""
    children = list(children)
    for child in children:
        if child.process.poll() is None:
            child.process.send_signal(with_signal)
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(20)
        child.process.kill()
        child.process.wait()
        with suppress(OSError):
            child.process.stdin.close()


def _family(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))


def _resident(pid: int) -> int:
    with suppress(OSError):  # it has just ended
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    return 0


def _end_with_parent() -> None:
    """On Linux, children end even where the bench is killed outright."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
