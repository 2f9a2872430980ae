"""Counts that every process keeps to, and how often somebody may write."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.test import Client

from polaris.accounts.tokens import issue
from polaris.tests.stack import which_database
from polaris.throttling import counting, writes
from polaris.throttling.limits import Limit, Patience
from polaris.throttling.models import Tally
from polaris.throttling.writes import Shares
from schedules.models import CallSchedule

BODY = {"phone": "+1234567890", "scheduled_time": "2999-01-15T10:00:00Z"}
NOW = datetime(2030, 1, 15, 10, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock():
    """A clock that stands still until it is moved."""
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


# -- counting ------------------------------------------------------------------------------------


def test_so_many_are_counted_and_no_more(clock):
    waits = [counting.count("key", Limit(3, 60)) for _ in range(5)]

    assert waits == [0, 0, 0, 60, 60]


def test_the_wait_ends_with_the_window(clock):
    for _ in range(3):
        counting.count("key", Limit(3, 60))
    clock.shift(20)
    assert counting.count("key", Limit(3, 60)) == 40
    clock.shift(40)

    assert counting.count("key", Limit(3, 60)) == 0


def test_keys_are_counted_apart(clock):
    assert [counting.count(key, Limit(1, 60)) for key in "abab"] == [0, 0, 60, 60]


def test_a_clock_that_is_a_little_behind_begins_no_new_window(clock):
    """Two machines never agree to the millisecond."""
    counting.count("key", Limit(2, 60))
    clock.shift(-0.05)

    assert [bool(counting.count("key", Limit(2, 60))) for _ in range(2)] == [False, True]


def test_a_clock_that_was_set_back_by_far_locks_nobody_out(clock):
    counting.count("key", Limit(1, 60))
    clock.shift(timedelta(days=-1))

    assert counting.count("key", Limit(1, 60)) == 0


@pytest.mark.parametrize(
    ("number", "wait"),
    [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (11, 60), (12, 60), (100_000, 60)],
)
def test_patience_wears_thin_by_twos(number, wait):
    assert Patience(free=5, longest=60).wait_after(number) == wait


def test_each_further_one_waits_twice_as_long(clock):
    patience = Patience(free=2, longest=900)
    waited = []
    for _ in range(6):
        while wait := counting.count_growing("key", patience):
            waited.append(wait)
            clock.shift(wait)

    assert waited == [1, 2, 4, 8]


def test_who_asks_while_he_should_wait_does_not_wait_longer_for_it(clock):
    patience = Patience(free=1, longest=900)
    counting.count_growing("key", patience)

    assert [counting.count_growing("key", patience) for _ in range(9)] == [1] * 9


def test_what_is_taken_back_counts_no_more(clock):
    counting.count("key", Limit(1, 60))
    counting.take_back("key")

    assert counting.count("key", Limit(1, 60)) == 0


def test_what_is_over_is_forgotten_and_nothing_else(clock):
    counting.count("short", Limit(1, 60))
    counting.count("long", Limit(1, 3600))
    clock.shift(61)

    counting.prune()

    assert list(Tally.objects.values_list("pk", flat=True)) == ["long"]


@pytest.mark.django_db(transaction=True)
def test_threads_that_count_at_once_never_count_more_than_the_limit():
    def count(_):
        try:
            return [counting.count("key", Limit(20, 600)) for _ in range(5)]
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        waits = [wait for found in pool.map(count, range(8)) for wait in found]

    assert sum(not wait for wait in waits) == 20
    assert Tally.objects.get().number == 20


# -- shares of a window --------------------------------------------------------------------------


def take_all(shares, limit, tries):
    return sum(not shares.take("key", limit) for _ in range(tries))


@pytest.mark.parametrize("number", [1, 2, 7, 16, 100, 3000])
def test_one_process_may_use_the_whole_limit(clock, number):
    assert take_all(Shares(), Limit(number, 60), number + 50) == number


@pytest.mark.parametrize("number", [1, 7, 100])
def test_several_processes_together_never_exceed_it(clock, number):
    processes = [Shares() for _ in range(4)]

    admitted = sum(
        not each.take("key", Limit(number, 60)) for _ in range(number + 9) for each in processes
    )

    assert admitted == number


def test_the_next_window_is_a_new_one(clock):
    shares = Shares()
    assert take_all(shares, Limit(5, 60), 9) == 5
    assert shares.take("key", Limit(5, 60)) == 60
    clock.shift(60)

    assert take_all(shares, Limit(5, 60), 9) == 5


def test_the_database_is_asked_now_and_then(clock, django_assert_max_num_queries):
    shares = Shares()

    with django_assert_max_num_queries(16):  # with its savepoints, for two leases
        assert take_all(shares, Limit(30_000, 60), 3000) == 3000


def test_whoever_writes_now_and_then_costs_one_query_a_key(clock, django_assert_num_queries):
    shares = Shares()
    shares.take("key", Limit(100, 60))
    clock.shift(60)

    with django_assert_num_queries(3):  # with its savepoint
        shares.take("key", Limit(100, 60))


def test_a_process_whose_clock_is_behind_joins_the_window_that_has_begun(clock):
    ahead, behind = Shares(), Shares()
    limit = Limit(10, 60)
    assert take_all(ahead, limit, 99) == 10
    clock.shift(-1)

    assert take_all(behind, limit, 99) == 0


def test_who_is_refused_costs_no_query(clock, django_assert_num_queries):
    shares = Shares()
    take_all(shares, Limit(3, 60), 4)

    with django_assert_num_queries(0):
        assert take_all(shares, Limit(3, 60), 50) == 0


def test_what_a_process_remembers_is_bounded(clock, monkeypatch):
    monkeypatch.setattr(writes, "_MOST_SHARES", 5)
    shares = Shares()
    for number in range(6):
        shares.take(f"key {number}", Limit(9, 60))
    clock.shift(61)

    shares.take("key", Limit(9, 60))

    assert len(shares._shares) == 1


PROCESS = """
import django; django.setup()
import json, sys, threading
from polaris.throttling.limits import Limit
from polaris.throttling.writes import Shares
shares, number, found = Shares(), int(sys.argv[1]), []
def work():
    found.append(sum(not shares.take("key", Limit(number, 86400)) for _ in range(number)))
threads = [threading.Thread(target=work) for _ in range(3)]
sys.stdin.readline()
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(json.dumps(sum(found)))
"""


@pytest.mark.django_db(transaction=True)
def test_real_processes_share_one_limit():
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "polaris.settings",
        "ENV_FILE": os.devnull,
        "SECRET_KEY": django_settings.SECRET_KEY,
        **which_database(),
    }
    children = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, "200"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=django_settings.BASE_DIR,
        )
        for _ in range(3)
    ]

    told = [json.loads(child.communicate(b"go\n", timeout=60)[0]) for child in children]

    assert sum(told) == 200


# -- writes through the API ----------------------------------------------------------------------


class Writer:
    """The API with a token, from an address."""

    def __init__(self, user, address="192.0.2.1"):
        self.headers = {"Authorization": f"Bearer {issue(user=user).access_token}"}
        self.address = address

    def post(self, path="/schedule/", body=BODY):
        return self._ask("post", path, body, "application/json")

    def get(self):
        return self._ask("get", "/schedule/")

    def _ask(self, method, *given):
        browser = Client(raise_request_exception=False)
        ask = getattr(browser, method)
        return ask(*given, headers=self.headers, REMOTE_ADDR=self.address)


@pytest.fixture
def few(settings):
    """Three writes a minute."""
    settings.THROTTLE_WRITES = Limit(3, 60)


def test_the_fourth_write_of_a_minute_must_wait(few, clock, client_user):
    writer = Writer(client_user)

    answers = [writer.post() for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["error_code"] == "THROTTLE_001"
    assert answers[-1].headers["Retry-After"] == "60"
    assert CallSchedule.objects.count() == 3


def test_reading_is_not_writing(few, client_user):
    writer = Writer(client_user)
    for _ in range(3):
        writer.post()

    assert {writer.get().status_code for _ in range(5)} == {200}


def test_another_address_does_not_help_an_account(few, clock, client_user):
    answers = [Writer(client_user, f"192.0.2.{n}").post() for n in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


def test_another_account_does_not_help_an_address(few, clock, client_user, operator):
    users = [client_user, operator, client_user, operator]

    answers = [Writer(user).post() for user in users]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


def test_others_are_not_held_up(few, clock, client_user, operator):
    for _ in range(4):
        Writer(client_user).post()

    assert Writer(operator, "192.0.2.2").post().status_code == 200


def test_a_write_that_is_refused_for_its_body_counts_too(few, clock, client_user):
    writer = Writer(client_user)

    answers = [writer.post(body={}) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [400, 400, 400, 429]


@pytest.mark.parametrize("path", ["/auth/token/refresh", "/auth/logout"])
def test_tokens_in_a_body_are_counted_by_address(few, clock, path):
    def send(address):
        body = {"refresh": "none of ours"}
        return Client().post(path, body, "application/json", REMOTE_ADDR=address).status_code

    assert [send("192.0.2.7") for _ in range(4)] == [401, 401, 401, 429]
    assert send("192.0.2.8") == 401


def test_nought_switches_it_off(settings, client_user):
    settings.THROTTLE_WRITES = None
    writer = Writer(client_user)

    assert {writer.post(body={}).status_code for _ in range(9)} == {400}
    assert not Tally.objects.exists()


def test_webhooks_are_never_held_up(few):
    answers = [
        Client().post("/webhook/call-status", "a=1", "application/x-www-form-urlencoded")
        for _ in range(9)
    ]

    assert {answer.status_code for answer in answers} == {403}


def test_while_the_database_is_away_the_answer_is_that_it_is(few, client_user, monkeypatch):
    def fail(*_):
        raise OperationalError("the disk is full")

    writer = Writer(client_user)
    monkeypatch.setattr(writes, "lease", fail)

    answer = writer.post()

    assert (answer.status_code, answer.json()["error_code"]) == (503, "SYSTEM_003")


def test_a_write_after_the_first_costs_no_further_query(client_user, django_assert_num_queries):
    writer = Writer(client_user)
    writer.post()

    # The account; a savepoint around the schedule, what is armed and the entry of the audit.
    with django_assert_num_queries(6):
        assert writer.post().status_code == 200
