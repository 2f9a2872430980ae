"""What every answer tells a browser."""

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client

from polaris.security_headers import DATA_POLICY, PAGE_POLICY, SecurityHeadersMiddleware

pytestmark = pytest.mark.django_db

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.fixture
def anybody():
    return Client(raise_request_exception=False)


@pytest.mark.parametrize(
    ("method", "path", "status", "policy"),
    [
        ("GET", "/", 302, PAGE_POLICY),
        ("GET", "/admin/login/", 200, PAGE_POLICY),
        ("GET", "/admin/nowhere/", 302, PAGE_POLICY),
        ("GET", "/api/docs", 200, PAGE_POLICY),
        ("GET", "/api/docs?script=", 200, DATA_POLICY),
        ("GET", "/api/schema", 200, DATA_POLICY),
        ("GET", "/schedule/", 401, DATA_POLICY),
        ("POST", "/auth/token", 400, DATA_POLICY),
        ("POST", "/webhook/call-status", 403, DATA_POLICY),
        ("GET", "/nowhere", 404, DATA_POLICY),
        ("GET", "/static/nothing.js", 404, DATA_POLICY),
        ("GET", "/static/admin/js/core.js", 200, DATA_POLICY),
        ("TRACE", "/schedule/", 401, DATA_POLICY),
    ],
)
def test_every_answer_has_them(anybody, method, path, status, policy):
    answer = anybody.generic(method, path)
    answer.close()

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert answer.headers["Content-Security-Policy"] == policy
    assert "camera=()" in answer.headers["Permissions-Policy"]


def test_a_host_that_is_not_ours_and_a_failure_of_ours_have_them_too(anybody, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("oh")

    strange = anybody.get("/schedule/", headers={"Host": "evil.example"})
    monkeypatch.setattr("polaris.urls.SpectacularAPIView.get", fail)
    failed = anybody.get("/api/schema")

    assert (strange.status_code, failed.status_code) == (400, 500)
    for answer in (strange, failed):
        assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
        assert answer.headers["Content-Security-Policy"] == DATA_POLICY


def test_a_failure_within_the_admin_is_a_page_without_a_traceback(operator, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("a secret of ours")

    desk = Client(raise_request_exception=False)
    desk.force_login(operator)
    monkeypatch.setattr("schedules.admin.CallScheduleAdmin.get_queryset", fail)

    answer = desk.get("/admin/schedules/callschedule/")

    assert (answer.status_code, answer.headers["Content-Security-Policy"]) == (500, PAGE_POLICY)
    assert b"secret" not in answer.content


@pytest.mark.parametrize(("secure", "lasts"), [(True, "max-age=31536000"), (False, None)])
def test_over_https_a_browser_is_told_to_stay_there(anybody, settings, secure, lasts):
    settings.SECURE_HSTS_SECONDS = 365 * 24 * 3600

    answer = anybody.get("/nowhere", secure=secure)

    assert answer.headers.get("Strict-Transport-Security") == lasts


def test_what_is_told_in_json_is_not_kept_by_a_cache(api, anybody):
    assert api.get("/schedule/").headers["Cache-Control"] == "no-store"
    assert anybody.get("/nowhere").headers["Cache-Control"] == "no-store"
    file = anybody.get("/static/admin/js/core.js")
    file.close()
    assert "no-store" not in file.headers["Cache-Control"]


def test_the_pages_that_debugging_shows_may_run_their_scripts(rf, settings):
    settings.DEBUG = True
    traceback = HttpResponse("<h1>RuntimeError</h1>", status=500)
    page = HttpResponse("<h1>Polaris</h1>")

    told = [
        SecurityHeadersMiddleware(lambda _, answer=answer: answer)(rf.get("/"))
        for answer in (traceback, page)
    ]

    assert ["Content-Security-Policy" in answer.headers for answer in told] == [False, True]


def test_the_cookies_are_for_this_site_and_not_for_scripts(operator):
    browser = Client()
    login = browser.get("/admin/login/")
    credentials = {"username": "operator", "password": "an operator's password"}
    signed_in = browser.post("/admin/login/?next=/admin/", credentials)

    for cookie in (login.cookies["csrftoken"], signed_in.cookies[settings.SESSION_COOKIE_NAME]):
        assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")


def test_a_form_of_the_admin_needs_its_token(operator):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(operator)

    for path in ("/admin/auth/group/add/", "/admin/password_change/", "/admin/logout/"):
        answer = browser.post(
            path, {"name": "Intruders"}, headers={"Origin": "https://evil.example"}
        )

        assert answer.status_code == 403
