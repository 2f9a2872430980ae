"""Rights that are withdrawn while requests run: once that is done, no later request gets in."""

import threading
import time
from dataclasses import dataclass

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client

from polaris.accounts import grants
from polaris.accounts.tokens import issue
from schedules.tests.factories import ActiveScheduleFactory

BODY = {"phone": "+1234567890", "scheduled_time": "2999-01-15T10:00:00Z"}
THREADS = 4
ENOUGH = 12  # answers before, and after

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass(frozen=True)
class Asked:
    """When a request was sent, and what it was answered."""

    began: float
    status: int


class Crowd:
    """Threads that ask on and on, each over a connection of its own."""

    def __init__(self, ask):
        self._ask, self._over = ask, threading.Event()
        self.answers = []
        self._threads = [threading.Thread(target=self._go_on) for _ in range(THREADS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.wait_for(ENOUGH)
        return self

    def __exit__(self, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, more):
        """Until so many more have been answered."""
        goal, patience = len(self.answers) + more, time.monotonic() + 30
        while len(self.answers) < goal and time.monotonic() < patience:
            time.sleep(0.005)
        assert len(self.answers) >= goal, "the threads have stopped"

    def _go_on(self):
        try:
            while not self._over.is_set():
                began = time.monotonic()
                self.answers.append(Asked(began, self._ask().status_code))
        finally:
            connection.close()


def withdrawn(ask, withdraw):
    """The answers to requests before, and to those that were sent after `withdraw` was done."""
    with Crowd(ask) as crowd:
        before = list(crowd.answers)
        withdraw()
        done = time.monotonic()
        crowd.wait_for(ENOUGH + THREADS)
    return {a.status for a in before}, {a.status for a in crowd.answers if a.began > done}


def bearer(user, **more):
    return {"Authorization": f"Bearer {issue(user=user, **more).access_token}"}


def test_an_account_that_is_closed_gets_nothing_written(client_user):
    headers = bearer(client_user)

    def ask():
        return Client().post("/schedule/", BODY, "application/json", headers=headers)

    def close():
        User.objects.filter(pk=client_user.pk).update(is_active=False)

    assert withdrawn(ask, close) == ({200}, {401})


def test_a_grant_that_is_withdrawn_opens_nothing(client_user):
    key = {"user": client_user, "agent_instance_id": "agent_1"}
    grants.grant(**key, granted_by=None)
    headers = bearer(client_user, agent="agent_1")

    found = withdrawn(
        lambda: Client().get("/schedule/", headers=headers), lambda: grants.withdraw(**key)
    )

    assert found == ({200}, {401})


def test_a_right_that_is_withdrawn_touches_nothing():
    staff = User.objects.create_user("staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename="change_callschedule"))
    theirs = ActiveScheduleFactory(schedule__created_by="user_0").schedule
    headers = bearer(staff)
    path = f"/schedule/{theirs.pk}"

    def ask():
        return Client().patch(path, {"notes": "Touched"}, "application/json", headers=headers)

    def withdraw():
        staff.user_permissions.clear()

    before, after = withdrawn(ask, withdraw)

    assert before <= {200, 409}  # they change one schedule, and none overwrites another
    assert after == {404}


def test_a_session_ends_with_its_account(operator):
    browser = Client()
    browser.force_login(operator)
    cookies = browser.cookies

    def ask():
        asking = Client()
        asking.cookies = cookies
        return asking.get("/schedule/")

    def close():
        User.objects.filter(pk=operator.pk).update(is_active=False)

    assert withdrawn(ask, close) == ({200}, {401})


def test_a_password_that_is_changed_ends_what_stood_on_it(client_user):
    headers = bearer(client_user)

    def change():
        client_user.set_password("another password")
        client_user.save()

    found = withdrawn(lambda: Client().get("/schedule/", headers=headers), change)

    assert found == ({200}, {401})


def test_a_sign_in_that_is_ended_refreshes_no_more(client_user):
    """Each refresh is given a token of its own sign-in; all end with the account."""
    spare = [str(issue(user=client_user)) for _ in range(400)]

    def ask():
        body = {"refresh": spare.pop()}
        return Client().post("/auth/token/refresh", body, "application/json")

    def close():
        User.objects.filter(pk=client_user.pk).update(is_active=False)

    assert withdrawn(ask, close) == ({200}, {401})
