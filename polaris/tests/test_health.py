"""The probes: is this process there, and can it do its work?"""

import pytest
from django.db import OperationalError, connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.test.utils import CaptureQueriesContext

from polaris import error_format
from polaris.health import migrations_state
from polaris.outage import Outage
from schedules import gate

READY = {
    "status": "ready",
    "database": "reachable",
    "migrations": "applied",
    "dialling": "on",
}


@pytest.fixture
def probe():
    migrations_state.forget()
    yield Client(raise_request_exception=False)
    migrations_state.forget()


def test_live_asks_no_database(probe):
    # No database mark: a query would fail this test.
    answer = probe.get("/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "live"})


@pytest.mark.django_db
def test_ready_tells_of_the_database_its_tables_and_the_gate(probe):
    answer = probe.get("/health/ready")

    assert (answer.status_code, answer.json()) == (200, READY)


@pytest.mark.django_db
def test_a_closed_gate_is_told_and_does_not_make_a_process_unready(probe):
    gate.close("The account is suspended.", by="operator")

    answer = probe.get("/health/ready")

    assert (answer.status_code, answer.json()) == (200, READY | {"dialling": "stopped"})
    assert "suspended" not in answer.content.decode()


@pytest.mark.django_db
def test_a_process_whose_tables_are_missing_is_not_ready_until_they_are_made(probe, monkeypatch):
    with monkeypatch.context() as missing:
        applied = {("polaris", "0001_who_comes_in"): None}
        missing.setattr(MigrationRecorder, "applied_migrations", lambda _: applied)
        before = probe.get("/health/ready")
    after = probe.get("/health/ready")

    assert (before.status_code, before.json()["error_code"]) == (503, "SYSTEM_005")
    assert before.headers["Retry-After"] == "5"
    assert after.status_code == 200


@pytest.mark.django_db
def test_a_process_whose_database_is_away_is_live_and_not_ready(probe, monkeypatch):
    def fail(*_, **__):
        raise OperationalError("connection refused")

    monkeypatch.setattr(BaseDatabaseWrapper, "cursor", fail)
    monkeypatch.setattr(error_format, "outage", Outage())

    ready, live = probe.get("/health/ready"), probe.get("/health/live")

    assert (ready.status_code, ready.json()["error_code"]) == (503, "SYSTEM_003")
    assert ready.headers["Retry-After"] == "5"
    assert live.status_code == 200


def test_live_answers_while_all_others_are_told_that_the_database_is_away(probe, monkeypatch):
    class Away(Outage):
        def blocks(self):
            return True

    monkeypatch.setattr(error_format, "outage", Away())

    assert probe.get("/health/live").status_code == 200
    assert probe.get("/health/ready").status_code == 503


@pytest.mark.django_db
def test_once_its_tables_were_seen_a_probe_costs_one_query(probe):
    probe.get("/health/ready")

    with CaptureQueriesContext(connection) as asked:
        probe.get("/health/ready")

    assert len(asked) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health/live/"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "10.0.0.7:8000"},
        {"Accept": "text/html"},
        {"Authorization": "Bearer nonsense"},
    ],
)
def test_a_probe_comes_without_tls_by_an_address_and_with_any_headers(
    probe, settings, path, headers
):
    settings.SECURE_SSL_REDIRECT = True

    assert probe.get(path, headers=headers).status_code == 200


@pytest.mark.django_db
def test_nothing_else_comes_in_by_a_name_that_is_not_ours(probe):
    assert probe.get("/schedule/", headers={"Host": "10.0.0.7"}).status_code == 400
    assert probe.get("/healthy", headers={"Host": "10.0.0.7"}).status_code == 400
