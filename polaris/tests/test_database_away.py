"""PostgreSQL goes and comes back under a running web process."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest
import requests
from django.conf import settings
from django.http import QueryDict
from twilio.request_validator import RequestValidator

from polaris.tests.postgres import Cluster, binaries
from polaris.tests.stack import HOME, PATIENCE, Stack

psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed")

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(binaries() is None, reason="there are no PostgreSQL binaries"),
]

SID = "CA" + "0123456789abcdef" * 2
PASSWORD = "an operator's password"
BODY = {"phone": "+14155550100", "scheduled_time": "2999-01-15T10:00:00Z"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL that runs."""
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


def web_process(url: str, folder: Path) -> Stack:
    stack = Stack(SimpleNamespace(url="http://127.0.0.1:9"), folder)
    stack.environment |= {"DATABASE_URL": url, "WEB_WORKERS": "4"}
    return stack


def manage(stack: Stack, *command: str, **variables: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=HOME,
        env=stack.environment | variables,
        check=True,
        stdout=subprocess.DEVNULL,
    )


class Operator:
    """Somebody with every right, by token and by session."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.browser = requests.Session()
        login = f"{url}/admin/login/"
        self.browser.get(login, timeout=PATIENCE)
        form = {"username": "operator", "password": PASSWORD, "next": "/admin/"}
        form["csrfmiddlewaretoken"] = self.browser.cookies["csrftoken"]
        assert self.browser.post(login, form, timeout=PATIENCE).ok
        self.headers = {"Authorization": f"Bearer {self.sign_in().json()['access']}"}

    def sign_in(self) -> requests.Response:
        return self.ask("post", "/auth/token", json={"username": "operator", "password": PASSWORD})

    def ask(self, method: str, path: str, **more) -> requests.Response:
        more.setdefault("headers", getattr(self, "headers", {}))
        return requests.request(method, self.url + path, timeout=PATIENCE, **more)

    def look(self, path: str) -> requests.Response:
        return self.browser.get(self.url + path, timeout=PATIENCE, allow_redirects=False)

    def report(self, sid: str = "CA" + "0" * 32) -> requests.Response:
        """Twilio's webhook of a call that has ended."""
        body = urlencode(
            {
                "CallSid": sid,
                "AccountSid": settings.TWILIO_ACCOUNT_SID,
                "CallStatus": "completed",
                "CallDuration": "7",
                "To": "+14155550100",
            }
        )
        validator = RequestValidator(settings.TWILIO_AUTH_TOKEN)
        url = f"{self.url}/webhook/call-status"
        signature = validator.compute_signature(url, QueryDict(body))
        form = "application/x-www-form-urlencoded"
        headers = {"X-Twilio-Signature": signature, "Content-Type": form}
        return self.ask("post", "/webhook/call-status", data=body, headers=headers)


@pytest.fixture(scope="module")
def web(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """A web process over the cluster, and somebody who has signed in to it."""
    stack = web_process(cluster.url, tmp_path_factory.mktemp("web"))
    manage(stack, "migrate", "-v0")
    manage(
        stack,
        *("createsuperuser", "--noinput", "--username=operator", "--email=o@polaris.example"),
        DJANGO_SUPERUSER_PASSWORD=PASSWORD,
    )
    stack.start_web()
    yield Operator(stack.url)
    stack.stop()
    print(stack.log_of("web"))  # noqa: T201


def everything(web: Operator) -> list[requests.Response]:
    """An answer of every kind of route that needs the database."""
    return [
        web.ask("get", "/schedule/"),
        web.ask("post", "/schedule/", json=BODY),
        web.ask("get", "/schedule/active"),
        web.ask("get", "/schedule/schedule_0"),
        web.ask("get", "/schedule/tracking/logs"),
        web.ask("get", "/schedule/tracking/stats"),
        web.look("/schedule/"),
        web.sign_in(),
        web.report(),
    ]


def test_every_route_says_so_while_it_is_away_and_goes_on_when_it_is_back(
    cluster: Cluster, web: Operator
):
    for _ in range(2):  # each thread of the web process has a connection, which the crash cuts
        with ThreadPoolExecutor(8) as pool:
            before = list(pool.map(lambda _: web.look("/admin/").status_code, range(8)))
        assert set(before) == {200}
        cluster.stop()

        during = [*everything(web), *everything(web)]
        page = web.look("/admin/")
        documents = requests.get(f"{web.url}/api/docs", timeout=PATIENCE)

        assert {(a.status_code, a.json()["error_code"]) for a in during} == {(503, "SYSTEM_003")}
        assert all(answer.headers["Retry-After"] == "5" for answer in during)
        assert page.status_code == 503
        assert page.headers["Content-Type"].startswith("text/html")
        assert "Traceback" not in page.text
        assert documents.status_code == 200

        cluster.start()

        after = [*everything(web), *everything(web)]
        assert {answer.status_code for answer in after} == {200, 204, 404}
        assert web.look("/admin/").status_code == 200


def test_a_webhook_that_met_the_outage_is_applied_once_when_it_is_repeated(
    cluster: Cluster, web: Operator
):
    cluster.stop()
    assert web.report(SID).status_code == 503
    cluster.start()

    answers = [web.report(SID).status_code for _ in range(2)]

    assert answers == [204, 204]
    logs = web.ask("get", "/schedule/tracking/logs").json()["results"]
    (log,) = (log for log in logs if log["call_id"] == SID)
    assert (log["status"], log["duration"]) == ("completed", 7)
    with psycopg.connect(cluster.url) as connection:
        kept = connection.execute(
            "SELECT deliveries, outcome FROM webhook_events WHERE call_id = %s", [SID]
        )
        assert kept.fetchall() == [(2, "created")]


def test_under_load_nothing_that_was_promised_is_lost_or_doubled(cluster: Cluster, web: Operator):
    ends = threading.Event()
    answers: list[requests.Response] = []

    def create():
        while not ends.is_set():
            answers.append(web.ask("post", "/schedule/", json=BODY))
            time.sleep(0.01)

    with ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(create) for _ in range(6)]
        time.sleep(1)
        cluster.stop()
        time.sleep(2)
        cluster.start()
        time.sleep(1)
        ends.set()
        for client in clients:
            client.result()

    assert {answer.status_code for answer in answers} == {200, 503}
    assert answers[-1].status_code == 200
    promised = [a.json()["schedule_id"] for a in answers if a.status_code == 200]
    with psycopg.connect(cluster.url) as connection:
        written = {key for (key,) in connection.execute("SELECT id FROM call_schedules")}
        armed = [key for (key,) in connection.execute("SELECT schedule_id FROM active_schedules")]
    assert len(promised) == len(set(promised))
    assert set(promised) <= written
    assert sorted(armed) == sorted(written)


def test_the_process_has_no_more_connections_than_threads_and_one(cluster: Cluster, web: Operator):
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: web.ask("get", "/schedule/"), range(96)))
        with psycopg.connect(cluster.url, autocommit=True) as connection:
            (number,) = connection.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid != pg_backend_pid()"
            ).fetchone()

    assert {answer.status_code for answer in answers} == {200}
    assert 0 < number <= 4 + 1


def test_a_host_that_never_answers_hangs_nobody(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        url = f"postgres://postgres@127.0.0.1:{silent.getsockname()[1]}/postgres"
        stack = web_process(url, tmp_path)
        stack.start_web()
        try:
            web = SimpleNamespace(url=f"{stack.url}/auth/token")
            credentials = {"username": "operator", "password": PASSWORD}
            with ThreadPoolExecutor(16) as pool:
                answers = list(
                    pool.map(
                        lambda _: requests.post(web.url, json=credentials, timeout=PATIENCE),
                        range(16),
                    )
                )
        finally:
            stack.stop()

    assert {answer.status_code for answer in answers} == {503}
