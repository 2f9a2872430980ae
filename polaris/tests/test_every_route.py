"""Every route and method of the URLconf, walked by everybody with what somebody else has made.

A route without an entry in the table fails: whoever adds one says who may use it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import URLPattern, get_resolver

from polaris.access import owner_id
from polaris.accounts import grants
from polaris.accounts.tokens import issue
from schedules.models import CallSchedule
from schedules.tests.factories import ActiveScheduleFactory
from tracking.tests.factories import CallLogFactory

pytestmark = pytest.mark.django_db

BODY = {"phone": "+1234567890", "scheduled_time": "2999-01-15T10:00:00Z"}
SCHEDULE, LOG = "schedule/<slug:schedule_id>", "schedule/tracking/logs/<slug:log_id>"
MODELS = ("callschedule", "activeschedule", "calllog")

# -- who asks ------------------------------------------------------------------------------------
NOBODY = ("anonymous", "inactive", "expired", "refresh token", "withdrawn agent", "unsigned")
SIGNED_IN = ("owner", "agent", "other agent", "stranger", "stranger's agent")
STAFF = ("staff without rights", "staff who view", "staff who may all", "superuser")
STAFF_AGENTS = ("superuser's agent", "superuser's other agent")
ROLES = (*NOBODY, *SIGNED_IN, *STAFF, *STAFF_AGENTS)

VIEWERS = {
    "owner",
    "agent",
    "staff who view",
    "staff who may all",
    "superuser",
    "superuser's agent",
}
CHANGERS = VIEWERS - {"staff who view"}

# -- what may be asked ---------------------------------------------------------------------------
# Of one row: who it exists for; for everybody else it is not there. Of lists: who finds it there.
READ, CHANGE, LIST, COUNT = "read", "change", "list", "count"
OWN, OPEN, SIGNED, AWAY = "own", "open", "signed", "elsewhere"
PUBLIC, OFF = "public", "switched off"
ENTRIES = {
    ("GET", ""): AWAY,
    ("GET", "admin"): AWAY,
    ("POST", "auth/token"): OPEN,
    ("POST", "auth/token/refresh"): OPEN,
    ("POST", "auth/logout"): OPEN,
    ("GET", "api/schema"): OPEN,
    ("GET", "api/docs"): OPEN,
    ("GET", "metrics"): OFF,
    ("GET", "health/live"): PUBLIC,
    ("GET", "health/ready"): PUBLIC,
    ("POST", "webhook/call-status"): SIGNED,
    ("GET", "schedule"): LIST,
    ("POST", "schedule"): OWN,
    ("POST", "schedule/preview"): OWN,
    ("GET", "schedule/active"): LIST,
    ("GET", "schedule/tracking/logs"): LIST,
    ("GET", "schedule/tracking/stats"): COUNT,
    ("GET", LOG): READ,
    ("GET", SCHEDULE): READ,
    ("GET", f"{SCHEDULE}/preview"): READ,
    ("GET", f"{SCHEDULE}/occurrences"): READ,
    ("GET", f"{SCHEDULE}/history"): READ,
    ("PUT", SCHEDULE): CHANGE,
    ("PATCH", SCHEDULE): CHANGE,
    ("DELETE", SCHEDULE): CHANGE,
    ("POST", f"{SCHEDULE}/pause"): CHANGE,
    ("POST", f"{SCHEDULE}/resume"): CHANGE,
    ("POST", f"{SCHEDULE}/cancel"): CHANGE,
}


def routes(patterns, prefix=""):
    """Every route, and the view behind it."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route, pattern.callback
        else:
            yield from routes(pattern.url_patterns, route)


def methods_of(view):
    """What a view answers to, OPTIONS and HEAD aside."""
    if hasattr(view, "actions") and view.actions:
        return {method.upper() for method in view.actions} - {"HEAD"}
    kind = getattr(view, "cls", None) or view.view_class
    if kind.__name__ == "RedirectView":
        return {"GET"}
    names = ("get", "post", "put", "patch", "delete")
    return {method.upper() for method in names if hasattr(kind, method)}


EVERY = list(routes(get_resolver().url_patterns))
API = [(route, view) for route, view in EVERY if not route.startswith("admin/")]
ADMIN = [route for route, _ in EVERY if route.startswith("admin/")]


class World:
    """Somebody who has made a schedule for an agent, and everybody who might ask for it."""

    def __init__(self):
        self.users = {
            "owner": User.objects.create_user("owner"),
            "stranger": User.objects.create_user("stranger"),
            "inactive": User.objects.create_user("inactive"),
            "superuser": User.objects.create_superuser("superuser"),
        }
        self.armed = ActiveScheduleFactory(
            schedule__created_by=owner_id(self.users["owner"]),
            schedule__phone="+442079460000",
            schedule__agent_instance_id="agent_1",
        )
        self.schedule = self.armed.schedule
        self.log = CallLogFactory(
            schedule=self.schedule, agent_instance_id="agent_1", status="completed"
        )

    def bearer(self, role):
        """The token that somebody in this role brings; none for nobody."""
        if role == "anonymous":
            return None
        if role in {"expired", "refresh token", "unsigned"}:
            return self._spoilt(role)
        if "agent" in role:
            return self._of_agent(role)
        token = str(issue(user=self.users.get(role) or self._staff(role)).access_token)
        User.objects.filter(username="inactive").update(is_active=False)
        return token

    def _spoilt(self, role):
        owner = self.users["owner"]
        if role == "refresh token":
            return str(issue(user=owner))
        ago = timedelta(minutes=20 if role == "expired" else 0)
        with time_machine.travel(datetime.now(UTC) - ago):
            token = str(issue(user=owner).access_token)
        return token if role == "expired" else token.rpartition(".")[0] + "."

    def _of_agent(self, role):
        user = self.users[role.split("'")[0] if "'" in role else "owner"]
        agent = "agent_2" if "other" in role else "agent_1"
        grants.grant(user=user, agent_instance_id=agent, granted_by=None)
        token = str(issue(user=user, agent=agent).access_token)
        if "withdrawn" in role:
            grants.withdraw(user=user, agent_instance_id=agent)
        return token

    def _staff(self, role):
        user = User.objects.create_user("staff", is_staff=True)
        verbs = {
            "staff without rights": (),
            "staff who view": ("view",),
            "staff who may all": ("view", "change", "delete", "add"),
        }[role]
        names = [f"{verb}_{model}" for verb in verbs for model in MODELS]
        user.user_permissions.set(Permission.objects.filter(codename__in=names))
        return user


def ask(world, role, method, route):
    ids = {"<slug:schedule_id>": world.schedule.pk, "<slug:log_id>": world.log.pk}
    path = "/" + re.sub(r"<[^>]+>", lambda match: ids[match[0]], route)
    if route.endswith("resume"):
        CallSchedule.objects.update(status="paused")
    token = world.bearer(role)
    body = BODY if method == "PUT" or route in {"schedule", "schedule/preview"} else {}
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    given = () if method == "GET" else (body, "application/json")
    return getattr(Client(), method.lower())(path, *given, headers=headers)


def test_every_route_and_method_has_an_entry_and_every_entry_a_route():
    found = {(method, route.rstrip("/")) for route, view in API for method in methods_of(view)}

    assert found == set(ENTRIES)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("method", "route"), ENTRIES, ids=lambda value: value or "root")
def test_who_gets_what(method, route, role):
    world = World()
    kind = ENTRIES[method, route]

    answer = ask(world, role, method, route)

    if kind == AWAY:
        assert answer.status_code == 302
        return
    if kind == SIGNED:
        assert (answer.status_code, answer.json()["error_code"]) == (403, "WEBHOOK_001")
        return
    if kind == OFF:
        assert (answer.status_code, answer.json()["error_code"]) == (404, "REQUEST_002")
        return
    if kind == PUBLIC:
        assert answer.status_code == 200
        return
    if kind == OPEN:
        assert_open(answer, method, role)
        return
    if role in NOBODY:
        code = "AUTH_001" if role == "anonymous" else "AUTH_003"
        assert (answer.status_code, answer.json()["error_code"]) == (401, code)
        return
    allowed = CHANGERS if kind == CHANGE else VIEWERS
    assert_allowed(world, answer, kind, role in allowed)


def assert_open(answer, method, role):
    """Nobody is asked for a token; a document may be refused to who brings a bad one."""
    if method == "POST":
        assert (answer.status_code, answer.json()["error_code"]) == (400, "SCHEDULE_003")
    else:
        refused = {401} if role in NOBODY and role != "anonymous" else set()
        assert answer.status_code in {200} | refused


def assert_allowed(world, answer, kind, is_allowed):
    if kind == OWN:
        assert answer.status_code == 200
    elif kind == LIST:
        found = [row["id"] for row in answer.json()["results"]]
        keys = {world.schedule.pk, world.armed.pk, world.log.pk}
        assert (len(found), set(found) <= keys) == (int(is_allowed), True)
    elif kind == COUNT:
        assert answer.json()["total_calls"] == int(is_allowed)
    elif is_allowed:
        assert answer.status_code == 200
    else:
        assert answer.status_code == 404
        assert answer.json()["error_code"] in {"SCHEDULE_004", "TRACKING_001"}
        assert world.schedule.phone not in answer.content.decode()


# -- the admin -----------------------------------------------------------------------------------
# Open to who has not signed in, by design.
DOORS = {"admin/login/", "admin/logout/"}


@pytest.mark.parametrize("who", ["nobody", "a client", "a superuser's token"])
def test_no_page_of_the_admin_opens_to_who_is_no_staff(who):
    world = World()
    browser, headers = Client(), {}
    if who == "a client":
        browser.force_login(world.users["owner"])
    if who == "a superuser's token":
        headers = {"Authorization": f"Bearer {world.bearer('superuser')}"}

    for route in ADMIN:
        if route in DOORS:
            continue
        path = "/" + re.sub(r"<[^>]+>|\(\?P[^)]*\)\$?", "1", route).replace("^", "")
        for method in ("get", "post"):
            answer = getattr(browser, method)(path, headers=headers)

            assert answer.status_code in {302, 403, 404}, (method, path)
            if answer.status_code == 302:
                assert "/admin/login/" in answer.headers["Location"], (method, path)
