"""How our tables are laid out on PostgreSQL, beyond what Django's models say."""

import pytest
from django.apps import apps
from django.db import connection

from polaris.postgresql_tables import prefix_indexes
from schedules.models import ActiveSchedule, CallSchedule

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has them"),
]
OURS = ["polaris", "schedules", "tracking", "webhooks"]


def test_no_key_has_a_second_index_that_nobody_asks():
    """Every row would make an entry in it. Whoever adds a text key adds `drop_prefix_indexes`
    to its migration."""
    tables = [
        model._meta.db_table for app in OURS for model in apps.get_app_config(app).models.values()
    ]

    assert prefix_indexes(connection, tables) == []


def test_a_key_that_is_asked_for_by_a_prefix_would_be_seen():
    assert prefix_indexes(connection, ["auth_user"])


@pytest.mark.parametrize("model", [ActiveSchedule, CallSchedule])
def test_rows_that_are_updated_often_have_room_beside_them(model):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reloptions FROM pg_class WHERE oid = %s::regclass", [model._meta.db_table]
        )
        ((options,),) = cursor.fetchall()

    assert [each.partition("=")[0] for each in options] == ["fillfactor"]


def test_no_index_concerns_what_only_tells_how_a_claim_goes_on():
    """So that opening the ledger for a claimed row makes no entry in any of its indexes."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid "
            "WHERE indrelid = 'active_schedules'::regclass AND attnum > 0 AND (attnum = ANY(indkey)"
            " OR strpos(pg_get_expr(indpred, indrelid), attname) > 0)"
        )
        indexed = {name for (name,) in cursor.fetchall()}

    assert "waits_on" in indexed
    assert indexed.isdisjoint({"status", "leased_until", "runner_id", "last_updated"})
