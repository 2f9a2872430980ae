"""Fixtures of the tests that walk the whole way."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from polaris.tests.stack import PATIENCE, Stack
from tracking.simulator.testing import SimulatedCarrier, running_carrier


@pytest.fixture
def carrier() -> Iterator[SimulatedCarrier]:
    """The simulated carrier, twenty times as fast as life."""
    with running_carrier(
        account_sid=settings.TWILIO_ACCOUNT_SID,
        auth_token=settings.TWILIO_AUTH_TOKEN,
        speed=20,
    ) as carrier:
        yield carrier


@pytest.fixture
def stack(transactional_db, carrier: SimulatedCarrier, tmp_path: Path) -> Iterator[Stack]:
    """Processes over the test database, ended before it is emptied."""
    stack = Stack(carrier, tmp_path)
    yield stack
    stack.stop()
    for log in tmp_path.glob("*.log"):  # pytest shows it where the test has failed
        print(f"-- {log.name}\n{log.read_text()}")  # noqa: T201


class Client:
    """The API over real HTTP, with a token."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    def get(self, path: str, **query: str) -> requests.Response:
        return self._ask("get", path, params=query)

    def post(self, path: str, body: dict | None = None) -> requests.Response:
        return self._ask("post", path, json=body)

    def put(self, path: str, body: dict) -> requests.Response:
        return self._ask("put", path, json=body)

    def _ask(self, method: str, path: str, **more) -> requests.Response:
        return requests.request(
            method, self._url + path, headers=self._headers, timeout=PATIENCE, **more
        )


@pytest.fixture
def client_of_web(stack: Stack, client_user) -> Client:
    """A client that has signed in to the running web process."""
    # The processes run with the real settings, so the suite's cheap hash would not do.
    client_user.password = PBKDF2PasswordHasher().encode("a client's password", "salt")
    client_user.save()
    stack.start_web()
    credentials = {"username": "client", "password": "a client's password"}
    answer = requests.post(f"{stack.url}/auth/token", json=credentials, timeout=PATIENCE)
    return Client(stack.url, answer.json()["access"])
