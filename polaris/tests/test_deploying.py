"""The files by which Polaris is deployed agree with the code and with each other."""

import ctypes
import fnmatch
import json
import os
import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.utils.timezone import now

from polaris.tests import confined
from polaris.tests.stack import Stack, wait_until

HOME = Path(settings.BASE_DIR)
SAMPLES = HOME / "docs" / "deploy"
UNITS = sorted(path.name for path in SAMPLES.glob("*.service"))
DOCKERFILE = (HOME / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((HOME / "compose.yaml").read_text())


def seconds(span: str) -> int:
    return int(re.fullmatch(r"(\d+)s?", span)[1])


# -- the image -----------------------------------------------------------------------------------


def copied() -> set[str]:
    return set(re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE))


def test_the_image_holds_every_room():
    rooms = {app.partition(".")[0] for app in settings.INSTALLED_APPS}
    ours = {room for room in rooms if (HOME / room).is_dir()}

    assert ours | {"templates", "manage.py"} <= copied()
    assert "for lock in $LOCKS" in DOCKERFILE
    assert "--no-deps --require-hashes" in DOCKERFILE


def test_the_builder_is_sent_what_is_copied_and_no_secrets():
    lines = (HOME / ".dockerignore").read_text().splitlines()
    let_through = [line[1:] for line in lines if line.startswith("!")]

    assert "*" in lines
    assert {name for name in copied() if name in let_through} == copied()
    for secret in (".env", "var", ".git", ".venv"):
        assert not any(fnmatch.fnmatch(secret, pattern) for pattern in let_through)


def test_the_processes_of_the_image_get_their_signals_themselves():
    """In shell form a shell would get SIGTERM, and keep it."""
    commands = re.findall(r"^\s*(?:CMD|ENTRYPOINT) (.*)$", DOCKERFILE, re.MULTILINE)

    assert len(commands) == 2
    for command in commands:
        assert all(isinstance(word, str) for word in json.loads(command))
    assert re.search(r"^USER \d+:\d+$", DOCKERFILE, re.MULTILINE)


def test_the_image_is_built_without_keys_of_anybody():
    """What is run in the image, run here with nothing in the environment."""
    lines = DOCKERFILE.replace("\\\n", " ").splitlines()
    (step,) = [line.removeprefix("RUN ") for line in lines if "collectstatic" in line]
    step, _, _ = step.partition("&& python -m compileall")

    done = subprocess.run(
        ["sh", "-c", step.replace("--noinput", "--noinput --dry-run")],
        cwd=HOME,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "ENV_FILE": os.devnull},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


# -- compose -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["web", "runner", "worker"])
def test_nobody_starts_before_the_tables_are_there(name):
    condition = COMPOSE["services"][name]["depends_on"]["migrate"]["condition"]

    assert condition == "service_completed_successfully"


@pytest.mark.parametrize("name", ["web", "runner", "worker", "migrate"])
def test_containers_of_ours_are_read_only_and_have_no_powers(name):
    service = COMPOSE["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["env_file"] == ".env"


@pytest.mark.parametrize("unit", ["polaris-runner@.service", "polaris-worker@.service"])
def test_a_runner_has_time_to_finish_its_calls(unit):
    units = (SAMPLES / unit).read_text()
    by_systemd = seconds(re.search(r"^TimeoutStopSec=(.*)$", units, re.MULTILINE)[1])
    by_compose = [
        seconds(COMPOSE["services"][n]["stop_grace_period"]) for n in ("runner", "worker")
    ]

    assert min(by_systemd, *by_compose) > settings.SCHEDULER_LEASE_SECONDS


def test_no_secret_has_a_default():
    text = (HOME / "compose.yaml").read_text()

    assert set(re.findall(r"POSTGRES_PASSWORD:.", text)) == {
        "POSTGRES_PASSWORD:?",
        "POSTGRES_PASSWORD: ",
    }
    assert not re.search(r"(KEY|TOKEN|PASSWORD|SECRET)\S*:-\w", text)


def test_optional_services_have_a_profile():
    with_profile = {
        name: service["profiles"]
        for name, service in COMPOSE["services"].items()
        if "profiles" in service
    }

    assert with_profile == {"worker": ["celery"], "redis": ["celery"], "mongodb": ["mongodb"]}


def test_workers_are_started_as_the_unit_starts_them_and_with_names_that_are_read():
    """Celery's command line is tried with real workers in the faults suite."""
    service = COMPOSE["services"]["worker"]
    unit = (SAMPLES / "polaris-worker@.service").read_text()
    command = service["command"]

    assert command[:4] == ["celery", "-A", "polaris", "worker"]
    assert f"/python -m {' '.join(command)}\n" in unit
    for name in ("SCHEDULER_EXECUTOR", "CELERY_BROKER_URL"):
        assert name in service["environment"]
        assert hasattr(settings, name)
    assert service["environment"]["SCHEDULER_EXECUTOR"] in settings.SCHEDULER_EXECUTORS


# -- systemd -------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", UNITS)
def test_units_are_hardened_alike(unit):
    text = (SAMPLES / unit).read_text()

    for line in ("NoNewPrivileges=yes", "ProtectSystem=strict", "StateDirectory=polaris"):
        assert re.search(f"^{line}$", text, re.MULTILINE)
    _, _, hardening = text.partition("# -- who it is")
    others = {
        (SAMPLES / other).read_text().partition("# -- who it is")[2].partition("\n\n[Install]")[0]
        for other in UNITS
    }
    assert {hardening.partition("\n\n[Install]")[0].rstrip()} == {each.rstrip() for each in others}


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze here")
def test_systemd_accepts_the_units(tmp_path):
    for path in [*SAMPLES.glob("*.service"), *SAMPLES.glob("*.target")]:
        text = path.read_text().replace("/opt/polaris/.venv/bin/python", sys.executable)
        (tmp_path / path.name).write_text(text.replace("/opt/polaris", str(HOME)))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")


def calls_in(words: str) -> set[str]:
    """The system calls that these names of calls and of groups stand for."""
    found: set[str] = set()
    for word in words.split():
        if word.startswith("@"):
            listed = subprocess.run(
                ["systemd-analyze", "syscall-filter", word],
                capture_output=True,
                text=True,
                check=True,
            )
            inside = [line.strip() for line in listed.stdout.splitlines()[1:]]
            found |= calls_in(" ".join(each for each in inside if not each.startswith("#")))
        else:
            found.add(word)
    return found


def calls_allowed_by(unit: str) -> set[str]:
    """Lines of SystemCallFilter add, and take away after a tilde; some are always allowed."""
    lines = re.findall(r"^SystemCallFilter=(.*)$", (SAMPLES / unit).read_text(), re.MULTILINE)
    allowed = calls_in("@default")
    for line in lines:
        if line.startswith("~"):
            allowed -= calls_in(line[1:])
        else:
            allowed |= calls_in(line)
    return allowed


def confined_to(calls: set[str]) -> list[str]:
    return [sys.executable, str(Path(confined.__file__)), ",".join(sorted(calls))]


def can_be_confined() -> bool:
    try:
        ctypes.CDLL(confined.LIBRARY)
    except OSError:
        return False
    return bool(shutil.which("systemd-analyze"))


needs_confinement = pytest.mark.skipif(
    not can_be_confined(), reason="there is no systemd-analyze, or no libseccomp, here"
)


@needs_confinement
def test_a_runner_starts_and_steps_back_with_the_system_calls_of_its_unit(stack: Stack):
    allowed = calls_allowed_by("polaris-runner@.service")

    runner = stack.start_runner(within=confined_to(allowed), SCHEDULER_NICE="7")

    ours = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, runner.pid) == min(19, ours + 7)


@needs_confinement
def test_a_runner_that_may_not_step_back_dials_all_the_same(stack: Stack, client_of_web):
    allowed = calls_allowed_by("polaris-runner@.service") - {"setpriority"}

    stack.start_runner(within=confined_to(allowed))
    client_of_web.post(
        "/schedule/",
        {"phone": "+14155550100", "scheduled_time": (now() + timedelta(seconds=2)).isoformat()},
    )

    wait_until(lambda: stack.carrier.accepted() == 1, what="the call is dialled")
    assert "SCHEDULER_NICE is not followed: Operation not permitted" in stack.log_of("runner")
