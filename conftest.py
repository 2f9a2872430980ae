"""Fixtures of every room's tests."""

import gc
import os
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient

from polaris.accounts.outside_issuer import published_keys
from polaris.tests import emptying
from polaris.tests.on_mongodb import skip_what_is_about_sql
from polaris.throttling.writes import shares
from tracking.carriers.memory import MemoryCarrier

DATABASES = {"db", "transactional_db", "django_db_setup", "live_server"}

if os.environ.get("FOR_MONGODB"):
    from polaris.tests.for_mongodb import what_mongodb_refuses  # noqa: F401 (a fixture)


emptying.install()


@pytest.hookimpl(tryfirst=True)  # before marks are asked for by -m
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """On MongoDB some tests are about other databases, and some are about none."""
    if settings.MONGODB_URL:
        skip_what_is_about_sql(items)
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("django_db") is None and not fixtures & DATABASES:
            item.add_marker("no_database")


def pytest_collection_finish() -> None:
    """What is loaded and collected stays: the garbage collector need not look through it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(autouse=True)
def _fresh_carrier_and_cache() -> Iterator[None]:
    MemoryCarrier.forget()
    cache.clear()
    shares.forget()
    published_keys.forget()
    yield
    MemoryCarrier.forget()


@pytest.fixture
def client_user(db) -> User:
    """Somebody who uses the API."""
    return User.objects.create_user("client", password="a client's password")


@pytest.fixture
def operator(db) -> User:
    """Staff with every permission."""
    return User.objects.create_superuser("operator", password="an operator's password")


@pytest.fixture
def api(client_user) -> APIClient:
    """The API as `client_user` sees it."""
    client = APIClient()
    client.force_authenticate(client_user)
    return client


@pytest.fixture
def desk(operator) -> Client:
    """The admin as an operator with every permission sees it."""
    client = Client()
    client.force_login(operator)
    return client
