"""A wrong value of a variable stops the start with one clear line that names it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from polaris.environment import Environment, require
from polaris.tests.stack import database_url
from polaris.throttling.limits import Limit

SECRET = "a key of these tests that is long enough for everybody"
KEY = "Zml2ZSBhbmQgdHdlbnR5IGxpb25zIGluIGEgZGVuIDE"


@pytest.fixture
def environment():
    """Reads the process alone."""
    return Environment(Path(os.devnull))


@pytest.fixture
def read(environment, monkeypatch):
    """What a reader makes of a raw value."""

    def read(reader, raw, *args, **kwargs):
        monkeypatch.setenv("SOME_NAME", raw)
        return getattr(environment, reader)("SOME_NAME", *args, **kwargs)

    return read


def assert_one_line(message, name):
    assert message.startswith(name), message
    assert "\n" not in message
    assert len(message) < 300


# -- readers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reader", "raw", "args", "value"),
    [
        ("text", " padded ", (), "padded"),
        ("text", "", ("default",), "default"),
        ("text", "   ", ("default",), "default"),
        ("words", "a, b,,c ,", (), ["a", "b", "c"]),
        ("words", "", (["a"],), ["a"]),
        ("zone", "Europe/Berlin", ("UTC",), "Europe/Berlin"),
        ("zone", "", ("UTC",), "UTC"),
        ("url", "https://polaris.example/x?y#z", (), "https://polaris.example/x?y#z"),
        ("url", "http://[::1]:8000", (), "http://[::1]:8000"),
        ("url", "", (), ""),
        ("phone", "+15005550006", (), "+15005550006"),
        ("phone", "", (), ""),
        (
            "networks",
            "10.0.0.0/8, 192.0.2.1,::1",
            (["127.0.0.1"],),
            ["10.0.0.0/8", "192.0.2.1", "::1"],
        ),
        ("networks", "", (["127.0.0.1"],), ["127.0.0.1"]),
        ("networks", "none", (["127.0.0.1"],), []),
        ("choice", "b", ("a", ["a", "b"]), "b"),
        ("choice", "", ("a", ["a", "b"]), "a"),
    ],
)
def test_a_good_value_is_taken(read, reader, raw, args, value):
    assert read(reader, raw, *args) == value


@pytest.mark.parametrize(
    ("raw", "value"),
    [(word, True) for word in ("1", "true", "TRUE", "Yes", "on")]
    + [(word, False) for word in ("0", "false", "No", "OFF")],
)
def test_a_flag_has_a_few_words(read, raw, value):
    assert read("flag", raw, default=not value) is value


@pytest.mark.parametrize("default", [True, False])
def test_an_empty_flag_is_its_default(read, default):
    assert read("flag", "", default=default) is default


@pytest.mark.parametrize(("raw", "value"), [("1", 1), (" 10 ", 10), ("", 5)])
def test_a_whole_number_is_taken(read, raw, value):
    assert read("whole", raw, 5, at_least=1, at_most=10) == value


@pytest.mark.parametrize(("raw", "value"), [("0", 0), ("2.5", 2.5), ("1e1", 10), ("", 3.05)])
def test_a_number_is_taken(read, raw, value):
    assert read("decimal", raw, 3.05, at_least=0, at_most=10) == value


@pytest.mark.parametrize(
    ("raw", "engine"),
    [
        ("sqlite:////tmp/x.sqlite3", "sqlite3"),
        ("postgres://u:p@h:5432/n", "postgresql"),
        ("postgresql://u:p@h/n", "postgresql"),
    ],
)
def test_a_database_is_taken(read, raw, engine):
    assert read("database", raw, "")["ENGINE"].endswith(engine)


def test_a_mail_server_is_taken(read):
    found = read("email", "smtp+tls://user:secret@mail.example:587", "")

    assert (found["EMAIL_HOST"], found["EMAIL_PORT"], found["EMAIL_USE_TLS"]) == (
        "mail.example",
        587,
        True,
    )


NUMBERS = {"at_least": 1, "at_most": 10}


@pytest.mark.parametrize(
    ("reader", "raw", "args", "kwargs"),
    [
        ("flag", "maybe", (), {"default": True}),
        ("flag", "2", (), {"default": True}),
        *(("whole", raw, (5,), NUMBERS) for raw in ("0", "11", "-1", "1.5", "1e0", "five", "²")),
        *(("whole", raw, (5,), NUMBERS) for raw in ("nan", "inf", "5 s", "0x5", "9" * 100)),
        *(("decimal", raw, (5,), NUMBERS) for raw in ("0.9", "10.1", "nan", "inf", "-inf", "1,5")),
        *(
            ("zone", raw, ("UTC",), {})
            for raw in ("Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "+02:00", "é")
        ),
        *(
            ("url", raw, (), {})
            for raw in (
                "polaris.example",
                "ftp://polaris.example",
                "//polaris.example",
                "https://",
                "https:///path",
                "https://h:port",
                "https://h:99999",
                "https://h:0",
                "https://[::1",
                "javascript:alert(1)",
            )
        ),
        *(
            ("networks", raw, ([],), {})
            for raw in ("*", "proxy.example", "10.0.0.1/8", "256.0.0.1", "10.0.0.0/33", "none,::1")
        ),
        ("url", "https://h/?a=b", (), {"bare": True}),
        ("url", "https://h/#a", (), {"bare": True}),
        *(
            ("template_url", raw, (["schedule_id"],), {})
            for raw in (
                "https://h/{other}",
                "https://h/{",
                "https://h/}",
                "https://h/{}",
                "https://h/{0}",
                "https://h/{schedule_id.__class__}",
                "h/{schedule_id}",
            )
        ),
        *(("phone", raw, (), {}) for raw in ("15005550006", "+0500555", "+1", "+1 500 555 0006")),
        ("phone", "+1500555000612345", (), {}),
        ("choice", "c", ("a", ["a", "b"]), {}),
        ("choice", "A", ("a", ["a", "b"]), {}),
        *(
            ("database", raw, ("",), {})
            for raw in ("x", "mysql://h/n", "mongodb://h/n", "file:///x", "postgres://h:port/n")
        ),
        *(("email", raw, ("",), {}) for raw in ("x", "http://h", "smtp://h:port")),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_a_bad_value_is_refused_in_one_line_that_names_the_variable(
    read, reader, raw, args, kwargs
):
    with pytest.raises(ImproperlyConfigured) as refusal:
        read(reader, raw, *args, **kwargs)

    assert_one_line(str(refusal.value), "SOME_NAME is ")


def test_a_phone_has_digits_of_ascii(read):
    with pytest.raises(ImproperlyConfigured):
        read("phone", "+1\uff15\uff10\uff10555000")


@pytest.mark.parametrize("raw", ["localtime", "Factory", "posixrules", "posix/UTC", "right/UTC"])
def test_a_zone_that_is_no_place_is_refused(read, raw):
    with pytest.raises(ImproperlyConfigured):
        read("zone", raw, "UTC")


@pytest.mark.parametrize(
    ("reader", "raw"),
    [("database", "mysql://u:secret@h/n"), ("email", "foo://u:secret@h"), ("database", "x:secret")],
)
def test_a_refusal_does_not_show_a_password(read, reader, raw):
    with pytest.raises(ImproperlyConfigured) as refusal:
        read(reader, raw, "")

    if "@" in raw:
        assert "secret" not in str(refusal.value)


def test_a_condition_may_be_required():
    require(True, "fine")
    with pytest.raises(ImproperlyConfigured, match="wanting"):
        require("", "wanting")


def test_a_file_holds_what_the_process_does_not_set(tmp_path, monkeypatch):
    monkeypatch.setenv("POLARIS_A", "process")
    monkeypatch.delenv("POLARIS_B", raising=False)
    (tmp_path / ".env").write_text("POLARIS_A=file\nPOLARIS_B=file\n")

    environment = Environment(tmp_path / ".env")

    assert [environment.text(name) for name in ("POLARIS_A", "POLARIS_B")] == ["process", "file"]
    monkeypatch.delenv("POLARIS_B")


def test_a_file_that_does_not_exist_is_empty(tmp_path):
    assert Environment(tmp_path / "nothing").text("POLARIS_C", "default") == "default"


# -- the start -----------------------------------------------------------------------------------

CHECK = ("manage.py", "check")
SERVE = ("-c", "import polaris.asgi")


def start(*command, **variables):
    """A process with these variables alone."""
    clean = {
        "PATH": os.environ["PATH"],
        "ENV_FILE": os.devnull,
        "SECRET_KEY": SECRET,
        "ENCRYPTION_KEYS": KEY,
        "LOOKUP_KEYS": KEY,
        "DATABASE_URL": "sqlite:////tmp/polaris-environment.sqlite3",
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=settings.BASE_DIR,
        env={name: value for name, value in (clean | variables).items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.django_db(transaction=True)  # of which the processes see the tables
@pytest.mark.parametrize("command", [CHECK, SERVE], ids=["check", "asgi"])
def test_a_sound_environment_starts(command):
    done = start(*command, DATABASE_URL=database_url())

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [CHECK, SERVE], ids=["check", "asgi"])
@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("SECRET_KEY", None),
        ("ENCRYPTION_KEYS", None),
        ("LOOKUP_KEYS", None),
        ("SCHEDULER_TIMEZONE", "Mars/Olympus"),
    ],
)
def test_a_bad_value_stops_the_start_with_one_line(command, name, raw):
    done = start(*command, **{name: raw})

    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"polaris: {name} is ")


BAD = {
    "ENCRYPTION_KEYS": f"{KEY},c2hvcnQ",
    "LOOKUP_KEYS": "not Base64 at all",
    "DEBUG": "perhaps",
    "HTTPS_ONLY": "perhaps",
    "LOG_LEVEL": "LOUD",
    "LOG_FORMAT": "yaml",
    "WEB_WORKERS": "0",
    "DATABASE_URL": "oracle://somewhere",
    "DATABASE_POOL": "-1",
    "SCHEDULER_TIMEZONE": "Europe/Atlantis",
    "SCHEDULER_MAX_INSTANCES": "0",
    "RUNNER_MISSING_SECONDS": "1",
    "AUDIT_KEPT_DAYS": "-1",
    "METRICS_TOKEN": "short",
    "SCHEDULER_MISFIRE_GRACE_TIME": "5 minutes",
    "SCHEDULER_WORKERS": "1000000",
    "SCHEDULER_NICE": "20",
    "SCHEDULER_EXECUTOR": "carrier pigeons",
    "CELERY_BROKER_URL": "amqp://localhost",
    "SCHEDULER_POLL_SECONDS": "0",
    "SCHEDULER_LEASE_SECONDS": "18",  # the carrier may take 13.05 s to answer
    "ALLOWED_HOSTS": "http://polaris.example/",
    "TRUSTED_PROXIES": "proxy.example",
    "NOTIFY_EMAIL_TO": "desk@polaris.example,nobody",
    "TWILIO_ACCOUNT_SID": "hello",
    "TWILIO_FROM_NUMBER": "5005550006",
    "TWILIO_WEBHOOK_URL": "polaris.example/webhook",
    "TWILIO_VOICE_URL": "https://h/{schedule_id!z}",
    "TWILIO_API_BASE_URL": "localhost:9010",
    "TWILIO_CONNECT_TIMEOUT": "0",
    "TWILIO_READ_TIMEOUT": "never",
    "CALLS_PER_SECOND": "-1",
    "MAX_CONCURRENT_CALLS": "many",
    "UNKNOWN_LOOKUP_SECONDS": "1",
    "DIALLING_PROBE_SECONDS": "0",
    "RETAIN_LOGS_DAYS": "-1",
    "RETAIN_SCHEDULES_DAYS": "a year",
    "RETAIN_WEBHOOKS_DAYS": "1.5",
    "RETAIN_NOTIFICATIONS_DAYS": "40000",
    "RETAIN_TRACES_DAYS": "for ever",
    "NOTIFY_WEBHOOK_URL": "somewhere",
    "NOTIFY_WEBHOOK_PRIVATE": "perhaps",
    "EMAIL_URL": "pigeon://loft",
    "THROTTLE_LOGIN": "often",
    "THROTTLE_WRITES": "-1/min",
    "JWT_SIGNING_KEYS": "a key that is long enough for each, short",
    "JWT_ACCESS_SECONDS": "15 minutes",
    "JWT_REFRESH_SECONDS": "1",
    "JWT_LEEWAY_SECONDS": "3600",
    "JWT_OUTSIDE_KEYS": "http://issuer.example/keys",
}

# Loads the settings again and again in one process, which is quicker than a process for each.
ATTEMPTS = """
import importlib, json, os, sys
from django.core.exceptions import ImproperlyConfigured
bad, told = json.loads(sys.argv[1]), {}
import polaris.settings as settings
for name, raw in bad.items():
    kept = os.environ.get(name)
    os.environ[name] = raw
    try:
        importlib.reload(settings)
        told[name] = ""
    except ImproperlyConfigured as error:
        told[name] = str(error)
    os.environ.pop(name)
    os.environ.update({name: kept} if kept is not None else {})
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def refusals():
    """What the settings say to each bad value."""
    done = start("-c", ATTEMPTS, json.dumps(BAD))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_no_message_shows_a_key(refusals):
    assert "short" not in refusals["JWT_SIGNING_KEYS"].replace("shorter", "")


@pytest.mark.parametrize("name", BAD)
def test_every_variable_with_a_form_is_checked(refusals, name):
    assert_one_line(refusals[name], f"{name} is ")


def test_a_pool_is_for_postgresql_alone():
    done = start("manage.py", "check", DATABASE_POOL="4", DATABASE_URL="sqlite:////tmp/x.sqlite3")

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("polaris: DATABASE_POOL is for PostgreSQL alone")


@pytest.mark.parametrize("given", ["JWT_OUTSIDE_ISSUER", "JWT_OUTSIDE_AUDIENCE"])
def test_an_outside_issuer_is_configured_whole_or_not_at_all(given):
    done = start("manage.py", "check", **{given: "https://issuer.example"})

    assert done.returncode == 1
    assert (
        "JWT_OUTSIDE_ISSUER, JWT_OUTSIDE_AUDIENCE and JWT_OUTSIDE_KEYS go together" in done.stderr
    )


@pytest.mark.parametrize(
    ("raw", "limit"),
    [("30/min", Limit(30, 60)), ("5/s", Limit(5, 1)), ("9/day", Limit(9, 86400)), ("0", None)],
)
def test_a_limit_is_a_number_in_a_span_of_time_or_none(read, raw, limit):
    assert read("limit", raw, "1/min") == limit


def test_every_variable_that_the_settings_read_is_checked_or_is_free_text():
    source = Path(settings.BASE_DIR, "polaris", "settings.py").read_text()
    names = set(re.findall(r'env\.\w+\(\s*"(\w+)"', source))

    free = set(re.findall(r'env\.(?:text|words)\(\s*"(\w+)"', source))

    assert names - free <= set(BAD)
