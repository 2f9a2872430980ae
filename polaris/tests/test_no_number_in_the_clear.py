"""A day's life with planted numbers, after which they are looked for everywhere."""

import re
from pathlib import Path

import pytest
import requests
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.db import connection

from polaris.tests.stack import PATIENCE, Stack, wait_until
from polaris.tests.test_the_whole_way import body
from schedules.models import CallSchedule
from tracking.models import CallLog, Notification
from webhooks.models import WebhookEvent

PLANTED = "1415777"  # every planted number begins so
OUTCOMES = ("00", "01", "02", "11", "15", "16", "22")


@pytest.fixture
def loud(stack: Stack) -> None:
    """Every process says all that it can say."""
    stack.environment |= {"LOG_LEVEL": "DEBUG"}


@pytest.fixture
def desk_of_web(stack: Stack, client_of_web) -> requests.Session:
    """An operator who has signed in to the running web process."""
    operator = User.objects.create_superuser("operator")
    operator.password = PBKDF2PasswordHasher().encode("an operator's password", "salt")
    operator.save()
    session = requests.Session()
    login = f"{stack.url}/admin/login/"
    session.get(login, timeout=PATIENCE)
    fields = {"username": "operator", "password": "an operator's password"}
    token = {"csrfmiddlewaretoken": session.cookies["csrftoken"]}
    session.post(login, data=fields | token, timeout=PATIENCE)
    return session


def test_no_planted_number_is_found_anywhere(
    stack: Stack, loud, client_of_web, desk_of_web, tmp_path
):
    stack.start_runner(NOTIFY_EVENTS="*", NOTIFY_EMAIL_TO="desk@polaris.example")

    for ending in OUTCOMES:
        number = f"+{PLANTED}01{ending}"
        answer = client_of_web.post("/schedule/", body(phone=number, notes=f"call {number}"))
        assert answer.status_code == 200, answer.text
    refusals = wrong_input(client_of_web)
    wait_until(everything_has_happened, what="the day is over")
    pages = look_around(stack, desk_of_web)
    stack.stop()

    assert_absent("an error", refusals)
    assert_absent("a page", pages)
    assert_absent("a log", "".join(log.read_text() for log in tmp_path.glob("*.log")))
    assert_absent("the database", database())
    assert {log.phone for log in CallLog.objects.all()} == {
        f"+{PLANTED}01{ending}" for ending in OUTCOMES
    }


def wrong_input(client) -> str:
    number = f"+{PLANTED}0199"
    answers = [
        client.post("/schedule/", body(phone=f"{number}x")),
        client.post("/schedule/", body(phone=number, scheduled_time=number)),
        client.post("/schedule/", body(phone=number, overlap=number)),
        client.post("/schedule/", body(**{number: number})),
        client.get(f"/schedule/{number}"),
        client.get("/schedule/", status=number),
        client.get(f"/nowhere/{number}"),
    ]
    assert all(answer.status_code >= 400 for answer in answers)
    return "".join(answer.text for answer in answers)


def everything_has_happened() -> bool:
    logs = CallLog.objects
    over = logs.exclude(status__in=["completed", "busy", "no_answer", "failed", "unknown"])
    waiting = Notification.objects.filter(status="waiting")
    return logs.count() == len(OUTCOMES) and not over.exists() and not waiting.exists()


def look_around(stack: Stack, desk: requests.Session) -> str:
    """The lists and one page of each kind, and a search, whose answer repeats what was typed."""
    pages = []
    for model in (CallSchedule, CallLog, WebhookEvent, Notification):
        opts = model._meta
        base = f"{stack.url}/admin/{opts.app_label}/{opts.model_name}/"
        pages.append(desk.get(base, timeout=PATIENCE))
        pages.append(desk.get(f"{base}{model.objects.first().pk}/change/", timeout=PATIENCE))
    assert all(page.ok and "operator" in page.text for page in pages)
    found = desk.get(f"{stack.url}/admin/tracking/calllog/?q=%2B{PLANTED}0100", timeout=PATIENCE)
    assert "+1••••••0100" in found.text
    return "".join(page.text for page in pages)


def assert_absent(where: str, text: str) -> None:
    found = re.search(PLANTED, re.sub(r"(?<=\d)[ ().-]{1,2}(?=\d)", "", text))
    assert found is None, f"in {where}: …{text[max(0, found.start() - 200) : found.end() + 50]}…"


def database() -> str:
    """SQLite's files as they lie there; every row of every table as text elsewhere."""
    if connection.vendor == "sqlite":
        name = str(connection.settings_dict["NAME"])
        files = [Path(name + more) for more in ("", "-wal", "-journal")]
        return "".join(file.read_bytes().decode("latin-1") for file in files if file.exists())
    told = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT t::text FROM "{table}" t')  # noqa: S608
            told += [row[0] for row in cursor.fetchall()]
    return "\n".join(told)


def test_the_search_would_find_one():
    with pytest.raises(AssertionError, match="in a log"):
        assert_absent("a log", f"dialled +{PLANTED}0100")
