"""No secret in the repository, in a log or on a page; no package without its hash."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from django.conf import settings
from django.contrib.admin import site

from polaris.tests.serving import manage, scratch
from polaris.tests.stack import HOME, PATIENCE, wait_until

# -- in the repository ---------------------------------------------------------------------------

KEYS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a Twilio account, key or call": re.compile(r"\b(?:AC|SK|CA)[0-9a-f]{32}\b"),
    "a Twilio token": re.compile(r"(?i)auth_?token\W{1,4}[0-9a-f]{32}\b"),
    "a signing secret": re.compile(r"whsec_[A-Za-z0-9+/]{32,}"),
    "a Fernet key": re.compile(r"(?<![A-Za-z0-9_/+-])[A-Za-z0-9_-]{43}=(?![A-Za-z0-9=])"),
    "a key of a cloud": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a token of a forge": re.compile(r"\b(?:ghp|gho|github_pat|glpat)[_-][A-Za-z0-9_]{20,}"),
    "a web token": re.compile(r"\beyJ[\w-]{9,}\.eyJ[\w-]{9,}\.[\w-]{20,}"),
    "a secret key in an example": re.compile(r"(?m)^(?:export )?SECRET_KEY=[^\s…$]{8,}"),
    "a password in an address": re.compile(r"(?:postgres|mongodb|smtp)\S*://\w+:(?!p@|pass|secret|…)[^\s@{}\"']{6,}@"),
}  # fmt: skip
# What only looks like one: made up for a test or an example, each by its name.
MADE_UP = {
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",  # the example of Standard Webhooks
    "whsec_cGxhbnRlZC1zZWNyZXQtb2YtYS13ZWJob29r",  # planted below, as the next
    "smtp://desk:planted-mail-password@",
}
# Of an account or a call that nobody has: a digit or a run of them again and again.
PATTERNED = re.compile(r"(?:AC|SK|CA)(?:([0-9a-f])\1{31}|(?:0123456789abcdef){2})")


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=HOME, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("this is no working copy of git")
    return [HOME / name for name in listed.stdout.split("\0") if name]


def secrets_in(text: str) -> list[str]:
    found = [(kind, match[0]) for kind, form in KEYS.items() for match in form.finditer(text)]
    return [f"{kind}: {key}" for kind, key in found if not is_made_up(key)]


def is_made_up(key: str) -> bool:
    return key in MADE_UP or bool(PATTERNED.fullmatch(key))


def test_no_file_of_the_repository_holds_a_secret():
    found = {}
    for file in tracked():
        if file.is_file() and file.suffix not in {".png", ".ico"}:
            found[str(file)] = secrets_in(file.read_text(errors="replace"))

    assert {name: keys for name, keys in found.items() if keys} == {}


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN RSA " + "PRIVATE KEY-----",
        "AC" + "0f3a9c1d" * 4,
        'TWILIO_AUTH_TOKEN="' + "0f3a9c1d" * 4,
        "whsec_" + "Zm9vYmFy" * 5,
        "Zm9vYmFyMTIz" * 3 + "Zm9vYmF=",
        "AKIA" + "ABCDEFGH" * 2,
        "ghp_" + "a1B2c3D4e5" * 4,
        "eyJhbGciOiJI" + ".eyJ1c2VyX2lk" + "." + "a" * 43,
        "SECRET_KEY=" + "k3Jd8sLqPz",
        "postgres://polaris:" + "hunter22@db/polaris",
    ],
)
def test_a_secret_would_be_found(text):
    assert secrets_in(f"{text}\n")


def test_what_is_local_is_not_tracked():
    assert {".env", "var"}.isdisjoint(file.relative_to(HOME).parts[0] for file in tracked())


# -- in logs and on pages ------------------------------------------------------------------------

PLANTED = {
    "SECRET_KEY": "planted-key-" + "Qw9-eRt5-yUi1-oPa7-" * 3,
    "TWILIO_AUTH_TOKEN": "planted-token-7d1f",
    "TWILIO_WEBHOOK_TOKENS": "planted-older-token-3b2a",
    "NOTIFY_WEBHOOK_SECRET": "whsec_cGxhbnRlZC1zZWNyZXQtb2YtYS13ZWJob29r",
    "NOTIFY_WEBHOOK_URL": "https://127.0.0.1:9/hook?token=planted-in-the-address",
    "EMAIL_URL": "smtp://desk:planted-mail-password@127.0.0.1:9",
    "NOTIFY_EMAIL_TO": "desk@example.org",
    "NOTIFY_EVENTS": "*",
}
SECRETS = [
    PLANTED["SECRET_KEY"], "planted-token-7d1f", "planted-older-token-3b2a",
    "cGxhbnRlZC1zZWNyZXQtb2YtYS13ZWJob29r", "planted-in-the-address", "planted-mail-password",
    "an operator's password",
]  # fmt: skip


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    """A web process and a runner that log all they can, with secrets to give away."""
    folder = tmp_path_factory.mktemp("secrets")
    stack = scratch(folder, **PLANTED, LOG_LEVEL="DEBUG")
    code = (
        "from django.contrib.auth.models import User; "
        "User.objects.create_superuser('operator', password=\"an operator's password\")"
    )
    manage(stack, "shell", "-c", code)
    stack.start_web()
    try:
        yield stack
    finally:
        stack.stop()


@pytest.fixture(scope="module")
def session(stack):
    session = requests.Session()
    login = f"{stack.url}/admin/login/"
    session.get(login, timeout=PATIENCE)
    form = {
        "username": "operator",
        "password": "an operator's password",
        "csrfmiddlewaretoken": session.cookies["csrftoken"],
    }
    assert "/admin/login" not in session.post(f"{login}?next=/admin/", form, timeout=PATIENCE).url
    return session


def given_away(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


def admin_pages() -> list[str]:
    """Every list and form of the admin that takes no id."""
    lists = [
        f"/admin/{model._meta.app_label}/{model._meta.model_name}/{page}"
        for model in site._registry
        for page in ("", "add/")
    ]
    return ["/admin/", "/admin/password_change/", *lists]


def test_no_page_shows_a_secret(stack, session):
    paths = [*admin_pages(), "/api/schema", "/api/docs", "/nowhere", "/admin/nowhere/"]

    shown = {path: session.get(stack.url + path, timeout=PATIENCE).text for path in paths}

    assert {path: found for path, text in shown.items() if (found := given_away(text))} == {}


def test_nothing_that_is_done_writes_a_secret_into_a_log(stack, session):
    credentials = {"username": "operator", "password": "an operator's password"}
    signed_in = requests.post(f"{stack.url}/auth/token", json=credentials, timeout=PATIENCE)
    token = signed_in.json()["access"]
    requests.post(f"{stack.url}/auth/token", json=credentials | {"username": "x"}, timeout=PATIENCE)
    for headers in ({"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {token}x"}):
        body = {"phone": "+14155550100", "scheduled_time": "2999-01-15T10:00:00Z"}
        requests.post(f"{stack.url}/schedule/", json=body, headers=headers, timeout=PATIENCE)
    requests.post(
        f"{stack.url}/webhook/call-status",
        data={"CallSid": "CA1"},
        headers={"X-Twilio-Signature": "x"},
        timeout=PATIENCE,
    )
    stack.start_command("runapscheduler")
    wait_until(lambda: "has to wait" in stack.log_of("runapscheduler"), what="a message was tried")

    told = stack.log_of("web") + stack.log_of("runapscheduler")

    assert "schedule.created" in told or "notification_" in told
    assert given_away(told) == []
    assert token not in told


def test_a_failure_of_ours_shows_nothing_of_the_settings(stack):
    """DEBUG is off: the database has lost a table, and the answer says no more than that."""
    manage(stack, "shell", "-c", DROP)

    credentials = {"username": "a", "password": "b"}
    answers = [
        requests.post(f"{stack.url}/auth/token", json=credentials, timeout=PATIENCE),
        requests.get(f"{stack.url}/admin/login/", timeout=PATIENCE),
    ]

    assert answers[0].status_code == 500
    for answer in answers:
        assert given_away(answer.text) == []
        assert "Traceback" not in answer.text
    assert given_away(stack.log_of("web")) == []


RENAME = "ALTER TABLE auth_user RENAME TO auth_gone"
DROP = f"from django.db import connection; connection.cursor().execute('{RENAME}')"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "oracle://polaris:planted-password@db/polaris"),
        ("EMAIL_URL", "pigeon://desk:planted-password@loft"),
        ("MONGODB_URL", "http://polaris:planted-password@db"),
    ],
)
def test_a_start_that_is_refused_does_not_show_the_password(name, value):
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=HOME,
        env={"PATH": "", "ENV_FILE": "/dev/null", "SECRET_KEY": PLANTED["SECRET_KEY"], name: value},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert "planted-password" not in done.stderr + done.stdout


# -- in the locks --------------------------------------------------------------------------------


def unlocked(text: str) -> list[str]:
    """Requirements of a lock without an exact version or a hash."""
    entries = re.sub(r"\\\n\s*", " ", text).splitlines()
    asked = [entry for entry in entries if entry.strip() and not entry.lstrip().startswith("#")]
    return [
        entry for entry in asked
        if "==" not in entry or not re.search(r"--hash=sha256:[0-9a-f]{64}", entry)
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(file.name for file in HOME.glob("requirements*.txt")))
def test_every_requirement_is_locked_with_its_hash_and_no_index_is_named(name):
    text = (HOME / name).read_text()

    assert unlocked(text) == []
    assert not re.search(r"(?m)^-|://", text)


@pytest.mark.parametrize(
    "line", ["django", "django>=5", "django==5.2.1", "django==5.2.1 --hash=md5:0", "git+x"]
)
def test_a_requirement_without_a_hash_would_be_found(line):
    assert unlocked(f"# via x\n{line}\n") == [line]


def test_the_setup_installs_by_hashes_alone():
    installs = [line for line in _commands(HOME / "bin" / "setup") if "pip install" in line]

    assert installs
    assert all("--require-hashes" in line for line in installs)


def test_a_release_made_after_the_locks_is_not_looked_for():
    """With `coverage==7.17.3` locked and `coverage[toml]` asked for by another package, pip takes
    the newest coverage there is, and refuses it because no hash of it is known."""
    installs = [line for line in _commands(HOME / "bin" / "setup") if "pip install" in line]

    assert all("--no-deps" in line for line in installs)


def _commands(script: Path) -> list[str]:
    return re.sub(r"\\\n\s*", " ", script.read_text()).splitlines()


def test_the_key_of_the_suite_is_its_own():
    assert settings.SECRET_KEY not in (HOME / ".env.example").read_text()
