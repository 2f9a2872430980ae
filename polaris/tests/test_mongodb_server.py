"""What a MongoDB server must be able to do, and what is said to one that cannot.

The server is a loopback one that speaks the wire protocol and keeps no document: driver, back end
and processes are the real ones."""

import subprocess
import sys

import pytest

from polaris.tests.mongodb_loopback import loopback
from polaris.tests.test_mongodb_settings import needs_the_back_end, process

pytestmark = needs_the_back_end

ALONE = (
    "polaris: The MongoDB server stands alone, so it has no transactions: make it a replica set "
    "(one member is enough), or name a cluster in MONGODB_URL.\n"
)
TOO_OLD = "polaris: MongoDB 6.0 or later is needed, and the server is 5.0.\n"
WEB = ["-m", "uvicorn", "polaris.asgi:application", "--port", "0", "--lifespan", "off"]
RUNNER = ["manage.py", "runapscheduler"]
COMMAND = ["manage.py", "verify_audit"]
CARRIER = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 32,
    "TWILIO_AUTH_TOKEN": "a token",
    "TWILIO_FROM_NUMBER": "+15005550006",
    "TWILIO_WEBHOOK_URL": "https://polaris.example/webhook/call-status",
    "HTTPS_ONLY": "true",
}


def start(command: list[str], url: str) -> subprocess.CompletedProcess[str]:
    """Run it until it ends by itself."""
    return process([sys.executable, *command], MONGODB_URL=url, **CARRIER)


@pytest.mark.parametrize("command", [WEB, RUNNER, COMMAND], ids=["web", "runner", "command"])
def test_a_server_that_stands_alone_is_refused_in_one_line(command):
    with loopback(replica_set="") as server:
        child = start(command, server.url)

    assert (child.returncode, child.stderr) == (1, ALONE)
    assert server.sent("insert", "update", "create", "aggregate") == []


@pytest.mark.parametrize("command", [WEB, RUNNER, COMMAND], ids=["web", "runner", "command"])
def test_a_server_that_is_too_old_is_refused_in_one_line(command):
    with loopback(version=(5, 0)) as server:
        child = start(command, server.url)

    assert (child.returncode, child.stderr) == (1, TOO_OLD)
    assert server.sent("insert", "update", "create", "aggregate") == []


@pytest.mark.parametrize("replica_set", ["rs0", ""], ids=["a replica set", "a sharded cluster"])
def test_a_server_that_can_do_it_is_asked_once_by_all_threads_of_a_process(replica_set):
    with loopback(replica_set=replica_set) as server:
        if not replica_set:
            router = server.answer({"hello": 1}) | {"msg": "isdbgrid"}
            server.answers |= dict.fromkeys(("hello", "ismaster"), lambda _: router)

        child = start(["-c", LOOK_TWICE], server.url)

    assert (child.returncode, child.stderr) == (0, "")
    assert len([hello for hello in server.sent("hello") if "lsid" in hello]) == 1


LOOK_TWICE = (
    "import django, threading; django.setup(); "
    "from polaris.database import refuse_unfit_server as look; "
    "threads = [threading.Thread(target=look) for _ in range(2)]; "
    "[(thread.start(), thread.join()) for thread in threads]"
)


def test_a_server_that_was_refused_is_refused_at_the_next_use_too():
    code = (
        "import django; django.setup(); from schedules.models import Gate\n"
        "for _ in range(2):\n"
        "    try: print(Gate.objects.exists())\n"
        "    except Exception as error: print(type(error).__name__)"
    )
    with loopback(replica_set="") as server:
        child = start(["-c", code], server.url)

    assert child.stdout.split() == ["ImproperlyConfigured"] * 2, child.stderr
    assert server.sent("aggregate") == []


def test_credentials_that_are_refused_are_told_in_one_line_without_them():
    refused = {"ok": 0.0, "code": 18, "errmsg": "Authentication failed.", "codeName": "No"}
    with loopback(saslStart=lambda _: refused) as server:
        url = server.url.replace("//", "//me:secret@")
        child = start(WEB, url)

    assert child.returncode == 1
    assert child.stderr == "polaris: The MongoDB server refuses us: Authentication failed.\n"


def test_a_command_whose_server_is_away_ends_with_one_line():
    child = start(COMMAND, "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50")

    assert child.returncode == 1
    assert child.stderr.startswith("polaris: the database cannot be used: 127.0.0.1:1: ")
    assert child.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [WEB, COMMAND])
@pytest.mark.parametrize(
    "rest",
    ["127.0.0.1:1,127.0.0.1:2/?directConnection=true", "h:99999/", "h/?tls=true&tlsCAFile=/none"],
)
def test_a_connection_string_that_the_driver_does_not_take_is_refused_without_it(command, rest):
    child = start(command, f"mongodb://me:secret@{rest}")

    assert child.returncode == 1
    assert child.stderr == "polaris: MONGODB_URL holds what the driver does not take.\n"


def test_a_cluster_that_no_name_server_knows_is_away():
    child = start(COMMAND, "mongodb+srv://me:secret@cluster.invalid/")

    assert child.returncode == 1
    assert child.stderr.startswith("polaris: the database ")
    assert "_mongodb._tcp.cluster.invalid" in child.stderr
    assert child.stderr.count("\n") == 1


def test_every_migration_is_sent_by_a_real_migrate():
    with loopback() as server:
        child = start(["manage.py", "migrate", "--verbosity", "0"], server.url)

    assert (child.returncode, child.stderr) == (0, "")
    made = {command["create"] for command in server.sent("create")}
    assert {"call_schedules", "call_logs", "active_schedules"} <= made


def test_after_the_migrations_of_one_app_all_others_can_still_be_made():
    applied = []

    def note(insert):
        if insert["insert"] == "django_migrations":
            applied.extend(insert["documents"])

    def look_up(query):
        if query["aggregate"] == "django_migrations":
            return {"ok": 1.0, "cursor": {"id": 0, "ns": "a.b", "firstBatch": applied}}

    migrate = ["manage.py", "migrate", "--verbosity", "0"]
    with loopback(insert=note, aggregate=look_up) as server:
        one = start([*migrate, "contenttypes"], server.url)
        made = {name for _, name in server.collections}
        every = start(migrate, server.url)

    assert (one.returncode, one.stderr) == (0, "")
    assert made == {"django_migrations", "django_content_type"}
    assert (every.returncode, every.stderr) == (0, "")
    assert {"call_schedules", "call_logs"} <= {name for _, name in server.collections}
    added = [each["name"] for sent in server.sent("createIndexes") for each in sent["indexes"]]
    assert {"lookup_app_label_model", "lookup_schedule_id_occurrence_attempt"} <= set(added)
