"""Fixtures of the faults."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from polaris.tests.faults.engine import Engine
from tracking.simulator.testing import SimulatedCarrier, running_carrier


@pytest.fixture
def carrier(request) -> Iterator[SimulatedCarrier]:
    """Twenty times as fast as life, unless a test asks otherwise; its late answer is too late."""
    how = {"speed": 20.0, "late_answer": 200.0} | getattr(request, "param", {})
    with running_carrier(
        account_sid=settings.TWILIO_ACCOUNT_SID, auth_token=settings.TWILIO_AUTH_TOKEN, **how
    ) as carrier:
        yield carrier


@pytest.fixture
def engine(transactional_db, carrier: SimulatedCarrier, tmp_path: Path) -> Iterator[Engine]:
    """Processes over the test database, ended before it is emptied."""
    engine = Engine(carrier, tmp_path)
    yield engine
    engine.stop()
    for log in tmp_path.glob("*.log"):  # pytest shows it where the test has failed
        print(f"-- {log.name}\n{log.read_text()}")  # noqa: T201


@pytest.fixture
def stack(engine: Engine) -> Engine:
    """What `client_of_web` signs in to."""
    return engine
