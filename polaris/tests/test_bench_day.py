"""The simulation of bench/day, at a size that a test can wait for."""

import pytest
from django.db import connection

from bench.day.simulation import simulate

pytestmark = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="its rows are written by PostgreSQL"
)


@pytest.mark.django_db(transaction=True)
def test_a_day_of_few_schedules_calls_each_occurrence_once_and_in_time(settings):
    settings.CALLS_PER_SECOND = 200

    found = simulate(300, settlers=0, seed=7, tell=lambda line: None)

    assert found["decided"]["Dial"] > 300
    assert found["decided"]["Retry"] > 0
    assert set(found["violations"].values()) == {0}


@pytest.fixture(autouse=True)
def _no_tables_are_left(request):
    yield
    if request.node.get_closest_marker("django_db") and connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS day_calls, day_expected, day_patterns")
