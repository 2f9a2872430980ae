"""What is good enough for a demo does not start where others can come in. Real processes."""

import subprocess
import sys

import pytest

from polaris.exposure import KNOWN_KEY, is_loopback, is_weak_key, public_hosts
from polaris.tests.serving import manage, scratch
from polaris.tests.stack import HOME

PUBLIC = {"ALLOWED_HOSTS": "calls.example.com", "HTTPS_ONLY": "true"}
HOOK = "https://calls.example.com/webhook/call-status"


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST", "app.localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"]
)
def test_loopback_is_this_machine(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["calls.example.com", ".example.com", "*", "10.0.0.1", "polaris", "localhost.example.com",
     "127.0.0.1.example.com", "2130706433", "::", ""],
)  # fmt: skip
def test_every_other_host_is_open_to_others(host):
    assert not is_loopback(host)


def test_the_hosts_that_are_open_to_others_are_named_once():
    found = public_hosts(["localhost", "b.example"], "https://b.example/x", "http://127.0.0.1/", "")

    assert found == ["b.example"]


@pytest.mark.parametrize(
    ("key", "is_weak"),
    [
        (KNOWN_KEY, True),
        ("django-insecure-" + "k3Jd8sLqPz" * 5, True),
        ("a" * 60, True),
        ("abcd" * 20, True),
        ("k3Jd8sLqPz0vBnM4xYtRw7Ue2Fh6Gc1A", False),
    ],
)
def test_a_key_that_others_know_is_weak(key, is_weak):
    assert is_weak_key(key) is is_weak


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A demo's database, with its operator, as bin/run makes it."""
    stack = scratch(tmp_path_factory.mktemp("demo"))
    told = manage(stack, "createdemo", "--operator-only")
    assert "Sign in as demo with the password demo." in told.stdout
    return stack


@pytest.fixture
def start(web):
    """Starts a process with these variables besides; it has ended when this returns."""

    def start(*command, **variables):
        return subprocess.run(
            [sys.executable, *command],
            cwd=HOME,
            env=web.environment | variables,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return start


CHECK = ("manage.py", "check")
DEPLOY = ("manage.py", "check", "--deploy")
SERVE = ("-c", "import polaris.asgi")
RUNNER = ("manage.py", "runapscheduler")
DEMO = ("manage.py", "createdemo")


@pytest.mark.parametrize(
    ("command", "variables", "told"),
    [
        (SERVE, {"SECRET_KEY": KNOWN_KEY}, "polaris: SECRET_KEY is one that others know or guess"),
        (RUNNER, {"SECRET_KEY": "x" * 50}, "polaris: SECRET_KEY is one that others know or guess"),
        (SERVE, {"ALLOWED_HOSTS": "*"}, "polaris: ALLOWED_HOSTS is *"),
        (CHECK, {"ALLOWED_HOSTS": "a.example,*"}, "polaris: ALLOWED_HOSTS is *"),
        (SERVE, {"DEBUG": "true", "TWILIO_WEBHOOK_URL": HOOK}, "polaris: DEBUG is on, but"),
        (SERVE, {"DEBUG": "true"} | PUBLIC, "polaris: DEBUG is on, but"),
    ],
    ids=[
        "the known key",
        "a typed key",
        "any host",
        "any host among others",
        "DEBUG with a public webhook",
        "DEBUG with a public host",
    ],
)
def test_what_is_careless_stops_the_start_with_one_line(start, command, variables, told):
    done = start(*command, **variables)

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(told)


@pytest.mark.parametrize(
    ("command", "variables"),
    [
        (SERVE, PUBLIC),
        (SERVE, {"TWILIO_WEBHOOK_URL": HOOK, "HTTPS_ONLY": "true"}),
        (RUNNER, PUBLIC),
        (DEMO, PUBLIC),
    ],
    ids=["web by its hosts", "web by its webhook", "runner", "createdemo"],
)
def test_where_others_come_in_the_demo_operator_stops_the_start(start, command, variables):
    done = start(*command, **variables)

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("polaris: The operator demo still has the password demo")
    assert "(calls.example.com)" in line


def test_the_check_of_a_deployment_names_the_demo_operator(start):
    done = start(*DEPLOY, **PUBLIC)

    assert done.returncode == 1
    assert "(polaris.E001) The operator demo still has the password demo" in done.stderr


@pytest.mark.parametrize("command", [CHECK, SERVE, DEMO], ids=["check", "web", "createdemo"])
def test_a_demo_on_its_own_machine_starts_without_a_word(start, command):
    done = start(*command, HTTPS_ONLY="false")

    assert (done.returncode, done.stderr) == (0, "")


def test_debugging_on_its_own_machine_may_do_all_of_it(start):
    done = start(*SERVE, DEBUG="true", SECRET_KEY="", ALLOWED_HOSTS="*")

    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def clean(tmp_path):
    """A database without a demo."""
    return scratch(tmp_path, **PUBLIC)


def test_where_others_come_in_no_demo_is_made(clean):
    done = manage(clean, "createdemo")

    assert "so there is no demo" in done.stdout
    assert "password" not in done.stdout
    accounts = manage(clean, "dumpdata", "auth.user", "schedules.callschedule").stdout
    assert accounts.strip() == "[]"


def test_a_sound_deployment_starts_and_passes_its_check_without_a_word(clean):
    deployed = manage(clean, *DEPLOY[1:], "--fail-level", "WARNING")
    served = subprocess.run(
        [sys.executable, *SERVE], cwd=HOME, env=clean.environment, capture_output=True, check=False
    )

    assert "no issues" in deployed.stdout + deployed.stderr
    assert (served.returncode, served.stderr) == (0, b"")


def test_an_operator_named_demo_with_a_password_of_its_own_is_welcome(clean):
    code = (
        "from django.contrib.auth.models import User; "
        "User.objects.create_superuser('demo', password='a long one of its own')"
    )
    manage(clean, "shell", "-c", code)

    assert not manage(clean, "createdemo").stderr


def test_a_demo_account_that_is_closed_is_nobodys_way_in(clean):
    code = (
        "from django.contrib.auth.models import User; "
        "User.objects.create_superuser('demo', password='demo', is_active=False)"
    )
    manage(clean, "shell", "-c", code)

    assert not manage(clean, "createdemo").stderr


@pytest.mark.parametrize("command", [CHECK, SERVE], ids=["check", "web"])
def test_without_https_a_public_server_starts_with_a_warning(clean, command):
    done = subprocess.run(
        [sys.executable, *command],
        cwd=HOME,
        env=clean.environment | {"HTTPS_ONLY": "false"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0
    assert "HTTPS_ONLY is off, but this server is open to others (calls.example.com)" in done.stderr
