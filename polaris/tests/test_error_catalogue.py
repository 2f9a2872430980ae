"""The catalogue of errors: a request that causes each code, and docs/api.md that lists it."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.db import DataError, InterfaceError, OperationalError, ProgrammingError
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpResponse, QueryDict
from django.test import Client, RequestFactory
from rest_framework.test import APIClient
from twilio.request_validator import RequestValidator

from polaris import errors
from polaris.accounts import grants, outside_issuer
from polaris.accounts.tokens import issue
from polaris.error_format import ErrorFormatMiddleware
from polaris.errors import CATALOGUE
from polaris.health import migrations_state
from polaris.tests.asgi import ask_application
from schedules import arming, services
from schedules.models import CallSchedule
from schedules.tests.factories import CallScheduleFactory
from tracking.models import CallLog

pytestmark = pytest.mark.django_db

DOCUMENT = Path(settings.BASE_DIR, "docs", "api.md")
CAUSES = {}


def causes(code):
    """Registers a way to cause `code`."""

    def register(cause):
        CAUSES[code] = cause
        return cause

    return register


@pytest.fixture
def anybody():
    """Somebody without a token, to whom an exception is an answer."""
    return Client(raise_request_exception=False)


def schedule_body(**changes):
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    return {"phone": "+1234567890", "scheduled_time": tomorrow} | changes


def create(api, **changes):
    return api.post("/schedule/", schedule_body(**changes), format="json")


@causes("SCHEDULE_001")
def _(api, **_):
    return create(api, phone="12")


@causes("SCHEDULE_002")
def _(api, **_):
    return create(api, scheduled_time="2001-01-01T00:00:00Z")


@causes("SCHEDULE_003")
def _(api, **_):
    return create(api, phone="")


@causes("SCHEDULE_004")
def _(api, **_):
    return api.get("/schedule/schedule_0")


@causes("SCHEDULE_005")
def _(api, client_user, **_):
    over = CallScheduleFactory(created_by=f"user_{client_user.pk}", status="completed")
    return api.post(f"/schedule/{over.pk}/pause")


@causes("SCHEDULE_006")
def _(api, **_):
    return create(api, repeat_config={"frequency": "sometimes"})


@causes("SCHEDULE_007")
def _(api, **_):
    return create(api, fone="+1234567890")


@causes("SCHEDULE_008")
def _(api, monkeypatch, **_):
    def fail(*_, **__):
        raise errors.SchedulerFailure

    monkeypatch.setattr(arming, "arm", fail)
    path = f"/schedule/{create(api).json()['schedule_id']}"
    return api.put(path, schedule_body(timezone="Asia/Tokyo"), format="json")


@causes("SCHEDULE_009")
def _(api, **_):
    return create(api, calling_window={"start": "8"})


@causes("SCHEDULE_010")
def _(api, **_):
    return create(api, retry_policy={"on": ["sometimes"]})


@causes("TRACKING_001")
def _(api, **_):
    return api.get("/schedule/tracking/logs/log_0")


@causes("WEBHOOK_001")
def _(anybody, **_):
    return anybody.post("/webhook/call-status", b"a=1", "application/x-www-form-urlencoded")


def sign(body):
    return RequestValidator(settings.TWILIO_AUTH_TOKEN).compute_signature(
        settings.TWILIO_WEBHOOK_URL, QueryDict(body)
    )


@causes("WEBHOOK_002")
def _(anybody, **_):
    body = urlencode({"AccountSid": settings.TWILIO_ACCOUNT_SID})
    return anybody.post(
        "/webhook/call-status",
        body,
        "application/x-www-form-urlencoded",
        headers={"X-Twilio-Signature": sign(body)},
    )


@causes("WEBHOOK_003")
def _(anybody, **_):
    body = urlencode(
        {
            "AccountSid": settings.TWILIO_ACCOUNT_SID,
            "CallSid": "CA" + "0" * 32,
            "CallStatus": "completed",
            "Timestamp": "Thu, 15 Jan 2026 12:00:00 +0000",
        }
    )
    return anybody.post(
        "/webhook/call-status",
        body,
        "application/x-www-form-urlencoded",
        headers={"X-Twilio-Signature": sign(body)},
    )


@causes("AUTH_001")
def _(anybody, **_):
    return anybody.get("/schedule/")


def sign_in(anybody):
    body = {"username": "client", "password": "wrong"}
    return anybody.post("/auth/token", body, "application/json")


@causes("AUTH_002")
def _(anybody, **_):
    return sign_in(anybody)


@causes("AUTH_003")
def _(anybody, **_):
    return anybody.get("/schedule/", headers={"Authorization": "Bearer nonsense"})


@causes("AUTH_004")
def _(client_user, **_):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(client_user)
    return browser.post("/schedule/", schedule_body(), "application/json")


@causes("AUTH_005")
def _(anybody, **_):
    body = {"username": "client", "password": "a client's password", "agent_instance_id": "a"}
    return anybody.post("/auth/token", body, "application/json")


@causes("AUTH_006")
def _(anybody, client_user, **_):
    grants.grant(user=client_user, agent_instance_id="agent_1", granted_by=None)
    token = issue(user=client_user, agent="agent_1").access_token
    headers = {"Authorization": f"Bearer {token}"}
    body = schedule_body(agent_instance_id="agent_2")
    return anybody.post("/schedule/", body, "application/json", headers=headers)


@causes("AUTH_007")
def _(anybody, monkeypatch, **_):
    monkeypatch.setattr(settings, "JWT_OUTSIDE_ISSUER", "https://issuer.example")
    monkeypatch.setattr(settings, "JWT_OUTSIDE_KEYS", "/nowhere/keys.json")
    outside_issuer.published_keys.forget()
    token = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ.e30.eA"
    return anybody.get("/schedule/", headers={"Authorization": f"Bearer {token}"})


@causes("THROTTLE_001")
def _(anybody, **_):
    while (answer := sign_in(anybody)).status_code == 401:
        pass
    return answer


@causes("REQUEST_001")
def _(api, **_):
    return api.generic("POST", "/schedule/", b"{", "application/json")


@causes("REQUEST_002")
def _(anybody, **_):
    return anybody.get("/nowhere")


@causes("REQUEST_003")
def _(api, **_):
    return api.delete("/schedule/")


@causes("REQUEST_004")
def _(api, **_):
    return api.generic("POST", "/schedule/", b"phone=1", "application/x-www-form-urlencoded")


@causes("REQUEST_005")
def _(api, **_):
    return api.get("/schedule/", headers={"Accept": "text/html"})


@causes("REQUEST_006")
def _(api, **_):
    return api.generic("POST", "/schedule/", b" " * 3_000_000, "application/json")


@causes("REQUEST_007")
def _(api, **_):
    return api.get("/schedule/?limit=0")


@causes("REQUEST_008")
def _(anybody, **_):
    return anybody.get("/schedule/", headers={"Host": "evil.example"})


@causes("REQUEST_009")
def _(**_):
    """Refused before Django sees it, so through the ASGI application itself."""
    return ask_application("/schedule/", query=b"x" * 8000)


@causes("SYSTEM_001")
def _(api, monkeypatch, **_):
    def fail(*_, **__):
        raise DataError("the disk is full")

    monkeypatch.setattr(services, "insert", fail)
    return create(api)


@causes("SYSTEM_003")
def _(api, monkeypatch, **_):
    def fail(*_, **__):
        raise OperationalError("the disk is full")

    monkeypatch.setattr(services, "insert", fail)
    return create(api)


@causes("SYSTEM_004")
def _(api, monkeypatch, **_):
    answer = create(api)
    monkeypatch.setattr(settings, "ENCRYPTION_KEYS", settings.LOOKUP_KEYS)  # the key has gone
    return api.get(f"/schedule/{answer.json()['schedule_id']}")


@causes("SYSTEM_005")
def _(anybody, monkeypatch, **_):
    migrations_state.forget()
    monkeypatch.setattr(MigrationRecorder, "applied_migrations", lambda _: {})
    return anybody.get("/health/ready")


@causes("SYSTEM_002")
def _(client_user, monkeypatch, **_):
    def fail(*_, **__):
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(services, "insert", fail)
    api = APIClient(raise_request_exception=False)
    api.force_authenticate(client_user)
    return create(api)


def assert_formatted(answer, status, code):
    """The contract's error format, to the letter."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/json")
    body = json.loads(answer.content)
    assert list(body) == ["status", "message", "error_code", "details", "timestamp"]
    assert (body["status"], body["error_code"]) == ("error", code)
    assert list(body["details"]) == ["field", "issue"]
    assert all(isinstance(text, str) for text in [*body["details"].values(), body["message"]])
    assert body["message"]
    assert body["details"]["issue"]
    told = datetime.strptime(body["timestamp"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert abs(datetime.now(UTC) - told) < timedelta(minutes=1)


@pytest.mark.parametrize("code", CATALOGUE)
def test_every_code_is_the_answer_to_a_request(code, api, anybody, client_user, monkeypatch):
    answer = CAUSES[code](
        api=api, anybody=anybody, client_user=client_user, monkeypatch=monkeypatch
    )

    assert_formatted(answer, CATALOGUE[code].status, code)
    assert "secret" not in answer.content.decode()
    assert "disk" not in answer.content.decode()


def test_no_code_is_caused_that_the_catalogue_lacks():
    assert set(CAUSES) == set(CATALOGUE)


def test_docs_api_md_lists_every_code_with_its_status_and_meaning():
    rows = re.findall(r"^\| `([A-Z]+_\d{3})` \| (\d{3}) \| (.+?) \|$", DOCUMENT.read_text(), re.M)

    assert rows == [(entry.code, str(entry.status), entry.meaning) for entry in CATALOGUE.values()]


def test_docs_api_md_names_no_code_that_does_not_exist():
    assert set(re.findall(r"\b[A-Z]{4,}_\d{3}\b", DOCUMENT.read_text())) == set(CATALOGUE)


def test_a_code_says_its_status_class():
    assert {entry.code for entry in CATALOGUE.values() if entry.status >= 500} == {
        "AUTH_007",
        "SCHEDULE_008",
        "SYSTEM_001",
        "SYSTEM_002",
        "SYSTEM_003",
        "SYSTEM_004",
        "SYSTEM_005",
    }


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "REQUEST_008"),
        (401, "AUTH_001"),
        (403, "AUTH_004"),
        (404, "REQUEST_002"),
        (405, "REQUEST_003"),
        (406, "REQUEST_005"),
        (413, "REQUEST_006"),
        (415, "REQUEST_004"),
        (418, "REQUEST_008"),
        (429, "THROTTLE_001"),
        (500, "SYSTEM_002"),
        (503, "SYSTEM_002"),
    ],
)
def test_an_error_page_of_the_framework_becomes_json(status, code):
    middleware = ErrorFormatMiddleware(lambda _: HttpResponse("<h1>No</h1>", status=status))

    answer = middleware(RequestFactory().get("/anywhere"))

    assert_formatted(answer, CATALOGUE[code].status, code)


@pytest.mark.parametrize("status", [200, 204, 302, 304])
def test_a_success_is_left_alone(status):
    page = HttpResponse("page", status=status)

    assert ErrorFormatMiddleware(lambda _: page)(RequestFactory().get("/")) is page


def test_the_admins_error_pages_are_left_alone():
    page = HttpResponse("page", status=404)

    assert ErrorFormatMiddleware(lambda _: page)(RequestFactory().get("/admin/x/")) is page


@pytest.mark.parametrize("header", ["Allow", "Retry-After"])
def test_a_rewritten_answer_keeps_the_headers_that_a_client_needs(header):
    page = HttpResponse("page", status=405, headers={header: "1"})

    answer = ErrorFormatMiddleware(lambda _: page)(RequestFactory().get("/"))

    assert answer.headers[header] == "1"


@pytest.mark.parametrize("charset", ["rot13", "hex", "zlib", "utf-7", "unicode_escape", "nonsense"])
def test_a_charset_of_pythons_own_is_refused_before_anything_is_decoded(charset):
    request = RequestFactory().post("/schedule/?a=%c3%a9", b"", "application/json")
    request.content_params = {"charset": charset}

    answer = ErrorFormatMiddleware(lambda _: pytest.fail("was asked"))(request)

    assert_formatted(answer, 415, "REQUEST_004")


def test_a_body_of_unknown_length_is_refused_instead_of_taken_for_none(api):
    answer = api.post(
        "/schedule/", schedule_body(), format="json", headers={"Transfer-Encoding": "chunked"}
    )

    assert_formatted(answer, 400, "REQUEST_008")
    assert answer.json()["details"]["field"] == "Transfer-Encoding"


@pytest.fixture
def fail_with(monkeypatch):
    """From here on the database answers everything with this error."""

    def fail_with(error):
        def fail(*_, **__):
            raise error

        for model in (CallSchedule, CallLog):
            monkeypatch.setattr(type(model.objects.all()), "_fetch_all", fail)
        monkeypatch.setattr("django.db.models.sql.compiler.SQLCompiler.execute_sql", fail)

    return fail_with


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [
        (OperationalError("the disk is full"), 503, "SYSTEM_003"),
        (OperationalError("database is locked"), 503, "SYSTEM_003"),
        (OperationalError("unable to open database file"), 503, "SYSTEM_003"),
        (InterfaceError("connection already closed"), 503, "SYSTEM_003"),
        (OperationalError("no such table: call_logs"), 500, "SYSTEM_001"),
        (ProgrammingError("the disk is full"), 500, "SYSTEM_001"),
        (DataError("the disk is full"), 500, "SYSTEM_001"),
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "path",
    ["/schedule/", "/schedule/active", "/schedule/tracking/logs", "/schedule/tracking/stats"],
)
def test_a_failing_database_is_told_wherever_it_fails(api, fail_with, path, failure, status, code):
    fail_with(failure)

    answer = api.get(path)

    assert_formatted(answer, status, code)
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_a_database_that_is_away_is_told_to_who_signs_in(anybody, client_user, fail_with):
    fail_with(OperationalError("the disk is full"))

    assert_formatted(sign_in(anybody), 503, "SYSTEM_003")


def test_a_database_that_is_away_is_told_to_who_holds_a_token(anybody, client_user, fail_with):
    token = issue(user=client_user).access_token
    fail_with(OperationalError("the disk is full"))

    answer = anybody.get("/schedule/", headers={"Authorization": f"Bearer {token}"})

    assert_formatted(answer, 503, "SYSTEM_003")


def test_a_database_that_is_away_is_told_to_who_holds_a_session(client_user, fail_with):
    browser = Client(raise_request_exception=False)
    browser.force_login(client_user)
    fail_with(OperationalError("the disk is full"))

    assert_formatted(browser.get("/schedule/"), 503, "SYSTEM_003")


@pytest.mark.parametrize("path", ["/admin/", "/admin/schedules/callschedule/", "/admin/login/"])
def test_a_database_that_is_away_is_told_on_a_page_of_the_admin(operator, fail_with, path):
    browser = Client(raise_request_exception=False)
    browser.force_login(operator)
    fail_with(OperationalError("the disk is full"))

    answer = browser.get(path)

    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    page = answer.content.decode()
    assert "The database is away" in page
    assert "Traceback" not in page
    assert "disk" not in page


@pytest.mark.parametrize(("path", "is_page"), [("/admin/", True), ("/schedule/", False)])
def test_a_database_that_goes_away_in_the_middleware_is_told_too(
    operator, monkeypatch, path, is_page
):
    """A session is written after the view."""

    def fail(*_, **__):
        raise OperationalError("the disk is full")

    browser = Client(raise_request_exception=False)
    browser.force_login(operator)
    monkeypatch.setattr(settings, "SESSION_SAVE_EVERY_REQUEST", True)
    monkeypatch.setattr("django.contrib.sessions.backends.db.SessionStore.save", fail)

    answer = browser.get(path)

    assert answer.status_code == 503
    assert ("<h1>" in answer.content.decode()) == is_page


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "NONSENSE"])
@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        "/schedule/%00",
        "/%ff%fe",
        "//schedule//",
        "/schedule/a/b/c",
        "/auth",
        "/auth/token/x",
        "/api",
        "/webhook",
        "/static/nothing.js",
        "/é",
        "/" + "x" * 5000,
    ],
    ids=lambda value: value[:20],
)
def test_nothing_is_at_any_other_path(anybody, method, path):
    answer = anybody.generic(method, path)

    assert answer.status_code in {404, 405}
    assert_formatted(answer, answer.status_code, answer.json()["error_code"])


@pytest.mark.parametrize("host", ["evil.example", "", "a b", "[::1", "localhost:x", "é", "%00"])
@pytest.mark.parametrize("path", ["/schedule/", "/api/docs", "/auth/token", "/nowhere"])
def test_a_host_that_is_not_ours_is_a_bad_request(anybody, host, path):
    answer = anybody.get(path, headers={"Host": host})

    assert_formatted(answer, 400, "REQUEST_008")


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("*/*", 200),
        ("application/*", 200),
        ("application/json; indent=99999999", 200),
        ("application/json; indent=x", 200),
        ("text/html, */*; q=0.1", 200),
        ("text/html", 406),
        ("application/xml", 406),
        (";;;;", 406),
        ("/", 406),
        ("é", 406),
        ("x" * 10_000, 406),
    ],
    ids=lambda value: str(value)[:20],
)
def test_answers_are_json_or_none(api, accept, status):
    answer = api.get("/schedule/", headers={"Accept": accept})

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
