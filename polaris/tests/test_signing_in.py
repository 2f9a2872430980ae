"""Who guesses passwords waits, at both doors; whoever is known there does not wait for others."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client

from polaris.accounts import signing_in
from polaris.accounts.housekeeping import prune
from polaris.accounts.models import SignIn
from polaris.throttling.limits import Limit
from polaris.throttling.models import Tally

NOW = datetime(2030, 1, 15, 10, 0, tzinfo=UTC)
WIDE = "".join(chr(ord(letter) + 0xFEE0) for letter in "operator")
PASSWORDS = {"operator": "an operator's password", "client": "a client's password"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock(operator, client_user):
    """A clock that stands still until it is moved."""
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def admin(name="operator", password=None, address="192.0.2.1", **headers):
    form = {"username": name, "password": password or PASSWORDS[name], "next": "/admin/"}
    return Client().post("/admin/login/", form, REMOTE_ADDR=address, headers=headers)


def api(name="client", password=None, address="192.0.2.1"):
    body = {"username": name, "password": password or PASSWORDS[name]}
    return Client().post("/auth/token", body, "application/json", REMOTE_ADDR=address)


def guess(door=admin, **more):
    return door(password="a guess", **more).status_code


WRONG = {admin: 200, api: 401}
RIGHT = {admin: 302, api: 200}


def outcomes():
    return list(SignIn.objects.order_by("at", "id").values_list("username", "door", "outcome"))


# -- the growing wait ----------------------------------------------------------------------------


def test_after_five_guesses_the_admins_door_makes_one_wait_longer_and_longer(clock):
    waited = []
    for _ in range(11):
        answer = admin(password="a guess")
        while answer.status_code == 429:
            waited.append(int(answer.headers["Retry-After"]))
            clock.shift(waited[-1])
            answer = admin(password="a guess")

    assert waited == [1, 2, 4, 8, 16, 32]


def test_the_page_says_how_long(clock):
    for _ in range(7):
        guess()
        clock.shift(2)
    guess()

    page = admin()

    assert page.status_code == 429
    assert "Try again in" in page.content.decode()
    assert "sessionid" not in page.cookies


def test_the_right_password_does_not_help_who_must_wait():
    for _ in range(5):
        guess()

    assert admin().status_code == 429


def test_who_has_waited_may_sign_in_and_begins_anew(clock):
    for _ in range(5):
        guess()
    clock.shift(1)

    assert admin().status_code == 302
    assert [guess() for _ in range(5)] == [200] * 5


def test_the_wait_is_never_longer_than_a_quarter_of_an_hour(clock):
    for _ in range(20):
        clock.shift(900)
        assert guess() == 200


@pytest.mark.parametrize("name", ["operator", "nobody", "client"])
def test_a_name_that_is_there_and_one_that_is_not_look_the_same(name):
    """Staff, nobody, and an account that is no staff."""
    statuses = [guess(name=name) for _ in range(6)]

    assert statuses == [200] * 5 + [429]


def test_the_right_password_of_who_is_no_staff_counts_as_a_guess():
    statuses = [admin("client").status_code for _ in range(6)]

    assert statuses == [200] * 5 + [429]


@pytest.mark.parametrize("names", [["operator", "OPERATOR"], ["operator", WIDE]])
def test_another_spelling_of_a_name_is_the_same_name(names):
    statuses = [guess(name=names[n % 2]) for n in range(6)]

    assert statuses[-1] == 429


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_a_header_does_not_make_a_guesser_another_one(header):
    statuses = [guess(**{header: f"10.0.0.{n}"}) for n in range(6)]

    assert statuses[-1] == 429


@pytest.mark.parametrize("door", [admin, api])
def test_spreading_names_does_not_get_around_it(door):
    limit = 30 if door is api else 20
    statuses = [guess(door, name=f"name {n}") for n in range(limit + 1)]

    assert statuses == [WRONG[door]] * limit + [429]


@pytest.mark.parametrize("door", [admin, api])
def test_spreading_addresses_does_not_get_around_it(door):
    limit = 60 if door is api else 20
    name = "client" if door is api else "operator"
    statuses = [guess(door, name=name, address=f"192.0.2.{n}") for n in range(limit + 1)]

    assert statuses == [WRONG[door]] * limit + [429]


def test_the_hosts_of_one_ipv6_network_are_one_address():
    statuses = [guess(address=f"2001:db8:1:2::{n}") for n in range(6)]

    assert statuses[-1] == 429


def test_guesses_at_the_one_door_count_at_the_other(client_user):
    for _ in range(5):
        guess(api, name="operator")

    assert guess(name="operator") == 429


def test_an_account_of_ones_own_does_not_wash_an_address_clean(clock):
    """Between guesses at others, a guesser signs in as himself."""
    for n in range(20):
        clock.shift(5)
        api("client")
        assert guess(name=f"name {n}") == 200

    assert guess(name="name 99") == 429


@pytest.mark.django_db(transaction=True)
def test_guesses_that_are_sent_at_once_do_not_slip_through():
    def send(_):
        try:
            return guess()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(send, range(16)))

    assert sorted(statuses) == [200] * 5 + [429] * 11


# -- who is not to be locked out -----------------------------------------------------------------


def attack(name, door=admin):
    """From as many addresses as it takes for everybody else to wait."""
    for n in range(65 if door is api else 25):
        guess(door, name=name, address=f"198.51.100.{n}")


@pytest.mark.parametrize("door", [admin, api])
def test_an_operator_gets_in_from_where_he_has_signed_in_before(clock, door):
    assert door("operator").status_code == RIGHT[door]
    attack("operator", door)

    assert door("operator", address="203.0.113.9").status_code == 429
    assert door("operator").status_code == RIGHT[door]


def test_where_he_has_not_he_waits_a_minute_at_most(clock):
    attack("operator")
    Tally.objects.filter(pk__startswith="guess/name/").update(number=1000)
    assert admin(address="203.0.113.9").headers["Retry-After"] == "60"
    clock.shift(60)

    assert admin(address="203.0.113.9").status_code == 302


def test_an_address_that_is_known_for_one_name_is_not_for_another(clock):
    api("client")
    attack("operator")

    assert admin("operator").status_code == 429


def test_an_address_is_known_for_a_month(clock):
    admin()
    clock.shift(timedelta(days=31))
    attack("operator")

    assert admin().status_code == 429


# -- the rates -----------------------------------------------------------------------------------


def test_the_rate_of_an_address_counts_both_doors(settings, clock):
    settings.THROTTLE_LOGIN = Limit(4, 60)
    statuses = [answer.status_code for answer in (api(), admin(), api(), admin(), api(), admin())]

    assert statuses == [200, 302, 200, 302, 429, 429]


def test_nought_switches_it_off(settings):
    settings.THROTTLE_LOGIN = None

    assert {guess() for _ in range(40)} == {200}


# -- what is written down ------------------------------------------------------------------------


def test_every_end_is_written_down(clock):
    admin()
    for _ in range(6):
        guess(api, name="nobody")
    for _ in range(9):
        guess(name="nobody")
    api()

    assert Counter(outcomes()) == {
        ("operator", "admin", "signed_in"): 1,
        ("no…", "api", "refused"): 6,
        ("no…", "admin", "made_to_wait"): 1,
        ("client", "api", "signed_in"): 1,
    }


@pytest.mark.parametrize("door", [admin, api])
@pytest.mark.parametrize("typed", ["a Passw0rd of somebody", "+4915112345678", "operator2"])
def test_of_what_is_no_accounts_name_only_the_beginning_is_kept(door, typed):
    """People type passwords into the field of the name."""
    guess(door, name=typed)

    assert [name for name, _, _ in outcomes()] == [f"{typed[:2]}…"]


def test_who_guesses_at_an_account_is_told_with_its_name():
    guess(name="client")

    assert outcomes() == [("client", "admin", "refused")]


def test_refusals_are_told_once_a_minute(clock):
    for _ in range(3):
        for _ in range(40):
            guess(api, name="x")
        clock.shift(61)

    assert SignIn.objects.filter(outcome="made_to_wait").count() == 3


@pytest.mark.parametrize("name", ["x" * 10_000, "é" * 200, "a\nb"], ids=["long", "wide", "lines"])
def test_an_odd_name_is_written_down_within_bounds(name):
    assert guess(name=name) == 200

    assert all(len(row.username) <= 150 for row in SignIn.objects.all())


def test_the_admin_shows_it_and_lets_nobody_change_it(desk, clock):
    guess(name="client", address="198.51.100.7")
    row = SignIn.objects.get()

    page = desk.get("/admin/polaris/signin/").content.decode()

    assert "client" in page
    assert "198.51.100.7" in page
    assert "wrong name or password" in page
    path = f"/admin/polaris/signin/{row.pk}"
    assert desk.get(f"{path}/change/").status_code == 200
    assert desk.post(f"{path}/change/", {"username": "x"}).status_code == 403
    assert desk.post(f"{path}/delete/", {"post": "yes"}).status_code == 403


def test_old_attempts_and_counts_are_forgotten(clock):
    guess()
    clock.shift(timedelta(days=29))
    admin()
    prune()
    assert SignIn.objects.count() == 2
    clock.shift(timedelta(days=2))

    prune()

    assert outcomes() == [("operator", "admin", "signed_in")]
    assert not Tally.objects.exists()


def test_sessions_that_have_expired_are_forgotten_and_no_others(clock):
    admin()
    clock.shift(timedelta(days=13))
    admin(address="192.0.2.2")
    clock.shift(timedelta(days=2))

    prune()

    assert Session.objects.count() == 1


def test_of_failed_attempts_the_latest_are_kept_and_of_others_all(clock, monkeypatch):
    monkeypatch.setattr(signing_in, "_MOST_FAILURES", 3)
    monkeypatch.setattr(signing_in, "_AT_ONCE", 2)
    admin()
    for n in range(10):
        guess(name=f"{n}th name")
        clock.shift(1)

    prune()

    assert [name for name, _, _ in outcomes()] == ["operator", "7t…", "8t…", "9t…"]


def test_a_door_of_a_closed_account_looks_like_a_wrong_password():
    User.objects.update(is_active=False)

    assert (admin().status_code, api().status_code) == (200, 401)
    assert {outcome for _, _, outcome in outcomes()} == {"refused"}
