"""MongoDB by MONGODB_URL, as far as it can be shown without a server.

A child process with MongoDB's settings looks at itself (`tell`) and says what it found."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations import RunSQL
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState
from django.db.models import CheckConstraint, Count, F, GeneratedField, Min, Q, QuerySet
from django.db.models.signals import post_migrate
from django.utils import timezone
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from polaris import mongodb
from polaris.database import atomic, can_skip_locked, is_mongodb, on_commit
from polaris.models import SignIn, Tally
from polaris.privacy.fields import stored_text
from polaris.privacy.resealing import behind
from polaris.tests.mongodb_loopback import loopback
from schedules.models import ActiveSchedule, CallSchedule
from tracking.models import CallLog

NOWHERE = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=50"
OWN = ("polaris", "schedules", "tracking", "webhooks")
needs_the_back_end = pytest.mark.skipif(
    find_spec("django_mongodb_backend") is None,
    reason="django-mongodb-backend is not installed (requirements-optional.txt)",
)


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `code` with no database chosen but by `variables`."""
    return process([sys.executable, "-c", code], PYTHONWARNINGS="error", **variables)


def process(command: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `command` with no database chosen but by `variables`."""
    others = {"DATABASE_URL", "MONGODB_URL", "DATABASE_NAME"}
    own = {name: value for name, value in os.environ.items() if name not in others}
    own["DJANGO_SETTINGS_MODULE"] = "polaris.settings"
    return subprocess.run(
        command,
        cwd=settings.BASE_DIR,
        env=own | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def manage(before: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check`, after the statements in `before`."""
    call = "import sys; sys.argv = ['manage.py', 'check']; import manage; "
    return python(call + before + "manage.main()", **variables)


# -- what the child says of itself ---------------------------------------------------------------
def tell() -> None:
    """Everything that the tests below ask, as JSON."""
    call_command("check", databases=["default"])
    found = {
        "settings": settings_found(),
        "counted": [model._meta.label for model in every_model() if is_counted(model)],
        "unwritten": list(unwritten_migrations()),
        "beyond": beyond_the_back_end(),
        "commands": migration_commands(),
        "lookups": lookup_indexes(),
        "transactions": transactions(),
        "refused": refused_queries(),
    }
    json.dump(found, sys.stdout)


def settings_found() -> dict[str, Any]:
    return {
        "database": {name: connection.settings_dict[name] for name in ("ENGINE", "HOST", "NAME")},
        "vendor": connection.vendor,
        "auto_field": settings.DEFAULT_AUTO_FIELD,
        "labels": sorted(config.label for config in apps.get_app_configs()),
        "is_mongodb": is_mongodb(),
        "can_skip_locked": can_skip_locked(),
    }


def every_model() -> list[Any]:
    return apps.get_models(include_auto_created=True)


def is_counted(model: Any) -> bool:
    return model._meta.pk.get_internal_type() in {"AutoField", "BigAutoField", "SmallAutoField"}


def unwritten_migrations() -> dict[str, Any]:
    """As `makemigrations --check`, which asks the server first what it has applied."""
    loader = MigrationLoader(None)
    detector = MigrationAutodetector(loader.project_state(), ProjectState.from_apps(apps))
    return detector.changes(graph=loader.graph)


def beyond_the_back_end() -> list[str]:
    """What of our own migrations MongoDB could not do, or would pass over in silence."""
    loader = MigrationLoader(None)
    found = []
    for (label, name), migration in loader.graph.nodes.items():
        code = [each for each in migration.operations if isinstance(each, RunSQL)]
        found += [f"{label} {name}: {each!r}" for each in code if label in OWN]
    for label in OWN:
        for model in loader.project_state().apps.get_app_config(label).get_models():
            options = model._meta
            checks = [each for each in options.constraints if isinstance(each, CheckConstraint)]
            indexes = [each for each in options.indexes if each.expressions]
            fields = [
                each
                for each in options.local_fields
                if isinstance(each, GeneratedField) or each.has_db_default()
            ]
            found += [f"{options.label}: {each!r}" for each in [*checks, *indexes, *fields]]
    return found


def migration_commands() -> list[str]:
    """What `migrate` would send, by every migration of every app."""
    graph = MigrationLoader(None).graph
    state = ProjectState()
    with connection.schema_editor(collect_sql=True) as editor:
        for node in graph._generate_plan(graph.leaf_nodes(), at_end=True):
            state = graph.nodes[node].apply(state, editor, collect_sql=True)
        return [line for line in editor.collected_sql if not line.startswith("--")]


def lookup_indexes() -> dict[str, list[list[str]]]:
    """The columns of the plain indexes that the end of `migrate` would add, by collection."""
    added: dict[str, list[list[str]]] = {}

    class Collection:
        def __init__(self, name: str) -> None:
            self.name = name

        def create_index(self, keys: list[tuple[str, int]], name: str) -> None:
            added.setdefault(self.name, []).append([column for column, _ in keys])

    connection.get_collection = Collection
    connection.introspection.table_names = lambda: {each._meta.db_table for each in every_model()}
    for config in apps.get_app_configs():
        for receiver in post_migrate._live_receivers(config)[0]:
            if receiver.__module__ == "polaris.mongodb_apps":
                receiver(app_config=config, using="default")
    del connection.get_collection, connection.introspection.table_names
    return added


def transactions() -> dict[str, list[str]]:
    """Who was heard of after blocks that succeed and fail."""
    heard: dict[str, list[str]] = {"kept": [], "failed": [], "nested": [], "by Django's": []}
    with atomic(), atomic():
        on_commit(lambda: heard["kept"].append("after"))
        heard["kept"].append("within" if connection.in_atomic_block_mongo else "outside")
    try:
        with atomic():
            on_commit(lambda: heard["failed"].append("after"))
            raise LookupError
    except LookupError:
        heard["failed"].append("undone")
    try:
        with atomic():
            with atomic():
                on_commit(lambda: heard["nested"].append("after"))
            raise LookupError
    except LookupError:
        heard["nested"].append("undone")
    try:
        with transaction.atomic():
            transaction.on_commit(lambda: heard["by Django's"].append("after"))
            raise LookupError
    except LookupError:
        heard["by Django's"].append("undone")
    return heard


def refused_queries() -> dict[str, str]:
    """Of the project's queries those that the back end cannot put into MongoDB's words."""
    moment = timezone.now()
    armed, schedules, logs = ActiveSchedule.objects, CallSchedule.objects, CallLog.objects
    recurring = schedules.filter(repeat_config__enabled=True)
    queries: dict[str, QuerySet[Any]] = {
        "the next call of each schedule": schedules.with_next_execution().order_by("-pk")[:9],
        "in order": armed.in_order(),
        "due": armed.due(moment).in_order().select_for_update(skip_locked=True)[:9],
        "armed": armed.exclude(next_execution=None).select_related("schedule"),
        "one's own": armed.filter(schedule__in=schedules.filter(created_by="user_1")),
        "one-time": schedules.exclude(pk__in=recurring.values("pk")),
        "a whole number": logs.of_number("+15005550006") | logs.filter(pk="log_1"),
        "not sealed with the newest key": behind(CallLog, "phone"),
        "as it was read": logs.filter(phone=stored_text("enc1.00000000.x")),
        "with a schedule or none": logs.select_related("schedule"),
        "an account by its agent": User.objects.filter(
            pk="6923f3b1c2a4d5e6f7a8b9c0", is_active=True, agent_grants__agent_instance_id="a"
        ),
        "what is spent of a sign-in": BlacklistedToken.objects.filter(
            token__in=OutstandingToken.objects.filter(token="family")
        ).values_list("token", flat=True),
        "the oldest failures": SignIn.objects.exclude(outcome="signed_in").order_by("-at", "-id")[
            9:18
        ],
        "known from there": SignIn.objects.filter(username="a", address="b", at__gt=moment),
        "by outcome": logs.order_by().values_list("status").annotate(number=Count("pk")),
        "figures": logs.annotate(
            n=Count("pk", filter=Q(status="completed")), first=Min("timestamp")
        ),
    }
    refused = {}
    for name, query in queries.items():
        try:
            compiler = query.query.get_compiler("default")
            compiler.pre_sql_setup()
            compiler.build_query(compiler.columns).get_pipeline()
        except Exception as error:
            refused[name] = repr(error)
    return refused | refused_writes()


def refused_writes() -> dict[str, str]:
    """Of the project's kinds of updates and deletions those that the back end cannot do."""
    sent: list[Any] = []
    held = ActiveSchedule.objects.filter(pk="active_1", lease="lease_1")

    class Collection:
        def __init__(self, name: str) -> None:
            self.name = name

        def update_many(self, *command: Any, **_: Any) -> Any:
            sent.append(command)
            return type("Result", (), {"matched_count": 1})

        def delete_many(self, *command: Any, **_: Any) -> Any:
            sent.append(command)
            return type("Result", (), {"deleted_count": 1})

    connection.get_collection = Collection
    counts = [
        held.due(timezone.now()).update(attempt=F("attempt") + 1, next_execution=None),
        CallSchedule.objects.filter(pk="schedule_1").update(repeat_config={"enabled": True}),
        Tally.objects.filter(pk="a", number__gt=0).update(number=F("number") - 1),
        held.delete()[0],
    ]
    del connection.get_collection
    return {} if counts == [1, 1, 1, 1] else {"writes": repr(sent)}


# -- the tests -----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What a process with MongoDB's settings says of itself."""
    with loopback() as server:
        child = python(
            "import django; django.setup(); "
            "from polaris.tests import test_mongodb_settings; test_mongodb_settings.tell()",
            MONGODB_URL=server.url,
            DATABASE_NAME="polaris-check",
        )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout.splitlines()[-1]) | {"url": server.url}


@needs_the_back_end
def test_the_two_variables_choose_the_database(found):
    assert found["settings"]["database"] == {
        "ENGINE": "django_mongodb_backend",
        "HOST": found["url"],
        "NAME": "polaris-check",
    }
    assert found["settings"]["vendor"] == "mongodb"


@needs_the_back_end
def test_every_app_of_the_other_databases_is_there(found):
    labels = {config.label for config in apps.get_app_configs()}

    assert set(found["settings"]["labels"]) == labels | {"django_mongodb_backend"}


@needs_the_back_end
def test_no_key_is_counted(found):
    assert found["settings"]["auto_field"] == "django_mongodb_backend.fields.ObjectIdAutoField"
    assert found["counted"] == []


@needs_the_back_end
def test_no_migration_is_missing(found):
    assert found["unwritten"] == []


@needs_the_back_end
def test_our_migrations_hold_nothing_that_mongodb_cannot_do(found):
    assert found["beyond"] == []


@needs_the_back_end
def test_migrations_make_a_collection_of_every_model(found):
    made = {line.split("'")[1] for line in found["commands"] if ".create_collection(" in line}

    assert made == {model._meta.db_table for model in every_model()}


@needs_the_back_end
def test_what_is_unique_has_a_plain_index_too(found):
    # A condition of our own makes an index that no look-up could use anyhow.
    always = [line for line in found["commands"] if "log_one_call_per_" not in line]
    unique = [line.split(".")[1] for line in always if "unique=True" in line]

    plain = [name for name, indexes in found["lookups"].items() for _ in indexes]
    assert sorted(plain) == sorted(unique)
    assert ["id"] in found["lookups"]["call_logs"]
    assert ["schedule_id", "occurrence", "attempt"] in found["lookups"]["call_logs"]
    assert ["session_key"] in found["lookups"]["django_session"]


@needs_the_back_end
def test_transactions_are_the_back_ends(found):
    assert found["settings"]["is_mongodb"]
    assert not found["settings"]["can_skip_locked"]
    assert found["transactions"]["kept"] == ["within", "after"]
    assert found["transactions"]["failed"] == ["undone"]
    assert found["transactions"]["nested"] == ["undone"]


@needs_the_back_end
def test_djangos_own_transactions_still_tell_of_what_failed(found):
    # The reason for polaris.database; where this changes, it may become simpler.
    assert found["transactions"]["by Django's"] == ["after", "undone"]


@needs_the_back_end
def test_what_we_ask_can_be_said_to_mongodb(found):
    assert found["refused"] == {}


def test_two_databases_at_once_are_refused_in_one_line():
    child = manage(MONGODB_URL=NOWHERE, DATABASE_URL="sqlite:///:memory:")

    assert child.returncode == 1
    assert child.stderr == (
        "polaris: DATABASE_URL and MONGODB_URL are both set: unset one of them.\n"
    )


def test_a_wrong_address_is_refused_in_one_line_without_its_password():
    child = manage(MONGODB_URL="https://me:secret@example.com/")

    assert child.returncode == 1
    assert child.stderr == (
        "polaris: MONGODB_URL must be a mongodb:// or mongodb+srv:// address.\n"
    )


@pytest.mark.parametrize(
    "url",
    [
        "me:secret@example.com",
        "mongodb:me:secret@example.com",
        "mongodb://",
        "mongodb://me:secret@",
        "mongodb://[me:secret@example.com",
        "mongodb+tls://me:secret@example.com",
    ],
)
def test_an_address_of_no_mongodb_is_refused(url):
    with pytest.raises(ImproperlyConfigured, match=r"^MONGODB_URL must be") as refusal:
        mongodb.database(url, "polaris", database_url="")

    assert "secret" not in str(refusal.value)


@needs_the_back_end
@pytest.mark.parametrize(
    ("options", "must_say"),
    [
        ("w=1", "w=majority, or nothing of it"),
        ("W=0", "w=majority, or nothing of it"),
        ("ssl=true&w=2", "w=majority, or nothing of it"),
        ("w=majority&journal=false", "journal=true, or nothing of it"),
        ("readPreference=secondaryPreferred", "readPreference=primary, or nothing of it"),
        ("replicaSet=rs0;readPreference=secondary", "readPreference=primary, or nothing of it"),
        ("appName=a#b&readPreference=nearest", "readPreference=primary, or nothing of it"),
        ("readConcernLevel=available", "readConcernLevel=local or majority, or nothing of it"),
        ("readConcernLevel=linearizable", "readConcernLevel=local or majority, or nothing of it"),
        ("timeoutMS=1", "nothing of timeoutMS"),
        ("tz_aware=true", "tz_aware=false, or nothing of it"),
        ("replicaSet=rs0;TZ_Aware=true", "tz_aware=false, or nothing of it"),
        ("datetime_conversion=datetime_ms", "datetime_conversion=datetime, or nothing of it"),
    ],
)
def test_an_address_that_loses_rows_overlooks_them_or_changes_times_is_refused(options, must_say):
    assert refusal_of(options).startswith(f"MONGODB_URL must say {must_say}: ")


@needs_the_back_end
@pytest.mark.parametrize("options", ["tz_aware", "w=majority;ssl=true&w=1", "a=b=c"])
def test_options_that_the_driver_cannot_read_are_refused(options):
    assert refusal_of(options) == "MONGODB_URL holds what the driver does not take."


@needs_the_back_end
@pytest.mark.parametrize("password", ["a?w=secret", "a#secret", "a?secret"])
def test_what_stands_behind_a_sign_that_should_be_encoded_is_not_shown(password):
    with pytest.raises(ImproperlyConfigured) as refusal:
        mongodb.database(f"mongodb://me:{password}@example.com/?w=1", "polaris", database_url="")

    assert "secret" not in str(refusal.value)


def refusal_of(options: str) -> str:
    with pytest.raises(ImproperlyConfigured) as refusal:
        mongodb.database(f"mongodb://me:secret@db.example/?{options}", "polaris", database_url="")

    said = str(refusal.value)
    assert "secret" not in said
    assert "\n" not in said
    return said


@needs_the_back_end
@pytest.mark.parametrize("scheme", ["mongodb", "mongodb+srv"])
def test_options_that_say_what_is_needed_are_taken_and_no_name_server_is_asked(scheme):
    url = (
        f"{scheme}://me:secret@cluster.invalid/?replicaSet=rs0;journal=true;tz_aware=false;"
        "readConcernLevel=majority;readPreference=primary"
    )

    assert mongodb.database(url, "polaris", database_url="")["HOST"] == url


@needs_the_back_end
def test_a_write_is_one_of_the_majority_and_nobody_waits_half_a_minute():
    url = "mongodb://example.com/?w=majority&readPreference=primary&connecttimeoutms=500"

    chosen = mongodb.database(url, "polaris", database_url="")

    assert chosen["OPTIONS"] == {"w": "majority", "serverSelectionTimeoutMS": 3000}


@pytest.mark.parametrize("name", ["a b", "a.b", "a/b", "$a", "a" * 64])
def test_a_name_that_no_database_can_have_is_refused(name):
    with pytest.raises(ImproperlyConfigured, match=r"^DATABASE_NAME is"):
        mongodb.database(NOWHERE, name, database_url="")


def test_a_missing_package_is_named_in_one_line():
    child = manage("sys.modules['django_mongodb_backend'] = None; ", MONGODB_URL=NOWHERE)

    assert child.returncode == 1
    assert child.stderr == (
        "polaris: MONGODB_URL is set, but django-mongodb-backend is not installed: "
        "pip install -r requirements-optional.txt\n"
    )


def test_without_the_url_nothing_of_it_is_there():
    code = (
        "import sys; sys.modules['django_mongodb_backend'] = None; import django; django.setup(); "
        "from django.conf import settings as s; "
        "print(s.DEFAULT_AUTO_FIELD, s.MIGRATION_MODULES, s.DATABASES['default']['ENGINE'], "
        "any('mongodb' in app for app in s.INSTALLED_APPS), 'polaris.mongodb_apps' in sys.modules)"
    )

    child = python(code, MONGODB_URL=" ", DATABASE_NAME="ignored")

    auto_field = "django.db.models.BigAutoField"
    assert child.stdout == f"{auto_field} {{}} django.db.backends.sqlite3 False False\n"
