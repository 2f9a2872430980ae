"""Who may see and touch what: every route, walked as nobody, as another client and as staff."""

import re

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import URLPattern, get_resolver
from rest_framework.test import APIClient

from polaris.access import owner_id
from schedules.models import ActiveSchedule, CallSchedule
from schedules.tests.factories import ActiveScheduleFactory
from tracking.models import CallLog
from tracking.tests.factories import CallLogFactory
from webhooks.models import WebhookEvent

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
LISTS = ("/schedule/", "/schedule/active", "/schedule/tracking/logs")
STATS = "/schedule/tracking/stats"
# Open to anybody by design: tokens, documents, probes, the way to the admin. Webhooks are signed
# instead, and metrics have a token of their own.
OPEN = re.compile(r"^$|^admin$|^admin/login/$|^auth/|^api/|^webhook/|^health/|^metrics/?$")
BODY = {"phone": "+1234567890", "scheduled_time": "2999-01-15T10:00:00Z", "notes": "Taken over"}

pytestmark = pytest.mark.django_db


class Theirs:
    """What another client has made."""

    def __init__(self):
        self.user = User.objects.create_user("another")
        mine = owner_id(self.user)
        self.armed = ActiveScheduleFactory(
            schedule__created_by=mine,
            schedule__phone="+442079460000",
            schedule__user_profile_id="profile_1",
            schedule__agent_instance_id="agent_1",
        )
        self.schedule = self.armed.schedule
        self.log = CallLogFactory(
            schedule=self.schedule, status="completed", duration=60, user_profile_id="profile_1"
        )


@pytest.fixture
def theirs(client_user):
    """Rows of another client."""
    return Theirs()


def routes(patterns=None, prefix=""):
    """Every route of the project but the admin's own."""
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        elif not route.startswith("admin/"):
            yield from routes(pattern.url_patterns, route)


LOCKED = [f"/{route}" for route in routes() if not OPEN.match(route)]
WITH_AN_ID = [route for route in LOCKED if "<" in route]


def filled(route, theirs):
    """The route with their ids in it."""
    ids = {"<slug:schedule_id>": theirs.schedule.pk, "<slug:log_id>": theirs.log.pk}
    return re.sub(r"<[^>]+>", lambda match: ids[match[0]], route)


def everything():
    """All that could be seen or touched."""
    tables = (CallSchedule, ActiveSchedule, CallLog, WebhookEvent)
    return [list(table.objects.order_by("pk").values()) for table in tables]


def error_of(answer):
    return answer.status_code, answer.json()["error_code"]


def test_the_walk_finds_the_routes():
    assert len(LOCKED) == 26
    assert all(route.startswith("/schedule") for route in LOCKED)


@pytest.mark.parametrize("route", LOCKED)
def test_without_a_token_every_route_is_locked_whatever_the_method(theirs, route):
    before = everything()
    path = filled(route, theirs)

    answers = [APIClient().generic(m, path, b"{}", "application/json") for m in METHODS]

    assert [error_of(answer) for answer in answers] == [(401, "AUTH_001")] * len(METHODS)
    assert all(a.headers["WWW-Authenticate"].startswith("Bearer") for a in answers)
    assert everything() == before


@pytest.mark.parametrize("route", WITH_AN_ID)
def test_what_another_client_made_does_not_exist(api, theirs, route):
    before = everything()
    path = filled(route, theirs)

    answers = [getattr(api, method.lower())(path, BODY, format="json") for method in METHODS]

    code = "TRACKING_001" if "logs" in route else "SCHEDULE_004"
    assert {error_of(answer) for answer in answers} <= {(404, code), (405, "REQUEST_003")}
    assert (404, code) in {error_of(answer) for answer in answers}
    assert everything() == before


@pytest.mark.parametrize("route", WITH_AN_ID)
def test_what_another_client_made_looks_like_what_never_was(api, theirs, route):
    path = filled(route, theirs)
    nowhere = path.replace(theirs.schedule.pk, "nothing").replace(theirs.log.pk, "nothing")
    method = api.post if re.search("pause|resume|cancel", route) else api.get

    foreign, missing = method(path).json(), method(nowhere).json()

    for answer in (foreign, missing):
        del answer["timestamp"]
    told = str(foreign).replace(theirs.schedule.pk, "nothing").replace(theirs.log.pk, "nothing")
    assert told == str(missing)


@pytest.mark.parametrize("route", LOCKED)
def test_no_odd_method_opens_or_breaks_anything(api, theirs, route):
    before = everything()
    path = filled(route, theirs)

    answers = [api.generic(method, path) for method in ("OPTIONS", "HEAD", "TRACE", "NONSENSE")]

    assert {answer.status_code for answer in answers} <= {200, 404, 405}
    assert not any(theirs.schedule.phone in answer.content.decode() for answer in answers)
    assert everything() == before


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("query", ["", "?user_profile_id=profile_1", "?agent_instance_id=agent_1"])
def test_lists_hold_nothing_of_another_client(api, theirs, path, query):
    if path == "/schedule/active":
        query = query and f"?schedule_id={theirs.schedule.pk}"

    answer = api.get(path + query)

    assert answer.json() == {"count": 0, "next": None, "previous": None, "results": []}


@pytest.mark.parametrize("query", ["", "?user_profile_id=profile_1", "?status=completed"])
def test_figures_count_nothing_of_another_client(api, theirs, query):
    assert set(api.get(STATS + query).json().values()) == {0}


def test_a_list_holds_what_one_has_made_oneself(api, client_user, theirs):
    armed = ActiveScheduleFactory(schedule__created_by=owner_id(client_user))
    log = CallLogFactory(schedule=armed.schedule)

    found = [[row["id"] for row in api.get(path).json()["results"]] for path in LISTS]

    assert found == [[armed.schedule_id], [armed.pk], [log.pk]]
    assert api.get(STATS).json()["total_calls"] == 1


def test_an_owner_is_compared_whole(api, client_user):
    """user_1 is not user_12."""
    ActiveScheduleFactory(schedule__created_by=f"{owner_id(client_user)}2")

    assert api.get("/schedule/").json()["count"] == 0
    assert api.get("/schedule/active").json()["count"] == 0


@pytest.mark.parametrize("path", LISTS)
def test_staff_see_everything(operator, client_user, theirs, path):
    api = APIClient()
    api.force_authenticate(operator)

    assert api.get(path).json()["count"] == 1
    assert api.get(STATS).json()["total_calls"] == 1


@pytest.mark.parametrize("path", ["/schedule/", "/schedule/tracking/logs"])
def test_numbers_of_others_are_masked_for_staff(operator, theirs, path):
    """Whoever may reveal one does so in the admin, where it is recorded."""
    told = {"phone": "+442079460000", "notes": "or call +442079460000"}
    CallSchedule.objects.update(**told)
    CallLog.objects.update(**told)
    api, owner = APIClient(), APIClient()
    api.force_authenticate(operator)
    owner.force_authenticate(theirs.user)
    (row,) = owner.get(path).json()["results"]
    one = f"{path.rstrip('/')}/{row['id']}"

    (listed,) = api.get(path).json()["results"]

    for shown in (listed, api.get(one).json()):
        assert shown["phone"] == "+4•••••••0000"
        assert shown["notes"] == "or call +4•••••••0000"
    for whole in (row, owner.get(one).json()):
        assert whole["phone"] == "+442079460000"
        assert whole["notes"] == "or call +442079460000"


@pytest.mark.parametrize("route", WITH_AN_ID)
def test_staff_may_use_every_route_of_what_others_made(operator, theirs, route):
    api = APIClient()
    api.force_authenticate(operator)
    if "resume" in route:
        CallSchedule.objects.update(status="paused")
    method = api.post if re.search("pause|resume|cancel", route) else api.get

    assert method(filled(route, theirs)).status_code == 200


def test_what_staff_change_stays_its_makers(operator, theirs):
    api = APIClient()
    api.force_authenticate(operator)

    answer = api.put(f"/schedule/{theirs.schedule.pk}", BODY, format="json")

    assert answer.status_code == 200
    theirs.schedule.refresh_from_db()
    assert theirs.schedule.created_by == owner_id(theirs.user)


@pytest.mark.parametrize("method", ["put", "patch", "post"])
def test_nobody_becomes_another_one_by_saying_so(api, client_user, theirs, method):
    mine = ActiveScheduleFactory(schedule__created_by=owner_id(client_user)).schedule
    path = "/schedule/" if method == "post" else f"/schedule/{mine.pk}"

    answer = getattr(api, method)(path, BODY | {"created_by": "user_0", "id": "x"}, format="json")

    assert answer.status_code == 200
    made = CallSchedule.objects.get(pk=answer.json()["schedule_id"])
    assert made.created_by == owner_id(client_user)


# -- the admin's session -------------------------------------------------------------------------


@pytest.fixture
def browser(client_user):
    """A browser in which the client has signed in."""
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(client_user)
    return browser


@pytest.mark.parametrize("path", [*LISTS, STATS])
def test_the_admins_session_opens_what_is_read(browser, path):
    assert browser.get(path).status_code == 200


@pytest.mark.parametrize("route", LOCKED)
def test_a_session_without_its_csrf_token_changes_nothing(browser, theirs, route):
    before = everything()
    path = filled(route, theirs)

    answers = [browser.generic(m, path, b"{}", "application/json") for m in METHODS[1:]]

    assert {error_of(answer) for answer in answers} == {(403, "AUTH_004")}
    assert everything() == before


def test_a_session_with_its_csrf_token_may_write(browser):
    browser.cookies["csrftoken"] = token = "a" * 32

    answer = browser.post("/schedule/", BODY, "application/json", headers={"X-CSRFToken": token})

    assert answer.status_code == 200


def test_a_token_needs_no_csrf_token(client_user):
    browser = Client(enforce_csrf_checks=True)
    credentials = {"username": "client", "password": "a client's password"}
    access = browser.post("/auth/token", credentials, "application/json").json()["access"]

    answer = browser.post(
        "/schedule/", BODY, "application/json", headers={"Authorization": f"Bearer {access}"}
    )

    assert answer.status_code == 200


def test_the_session_of_a_closed_account_opens_nothing(browser, client_user):
    User.objects.update(is_active=False)

    assert error_of(browser.get("/schedule/")) == (401, "AUTH_001")


@pytest.mark.parametrize("cookie", ["sessionid=nonsense", "sessionid=%00", "sessionid=é", "=;,"])
def test_a_cookie_that_is_no_session_opens_nothing(db, cookie):
    answer = Client().get("/schedule/", headers={"Cookie": cookie})

    assert error_of(answer) == (401, "AUTH_001")


def staff(*permissions: str) -> APIClient:
    """The API as somebody of the staff with these permissions and no others sees it."""
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = APIClient()
    client.force_authenticate(user)
    return client


@pytest.mark.parametrize("path", LISTS)
def test_staff_without_permissions_are_clients_like_any_other(theirs, path):
    api = staff()

    assert api.get(path).json()["count"] == 0
    assert api.get(STATS).json()["total_calls"] == 0
    assert api.post(f"/schedule/{theirs.schedule.pk}/cancel").status_code == 404


def test_staff_who_may_only_view_change_nothing(theirs):
    api = staff("view_callschedule")
    path, before = f"/schedule/{theirs.schedule.pk}", everything()

    assert api.get(path).status_code == 200
    answers = [api.post(f"{path}/{act}") for act in ("pause", "resume", "cancel")]
    answers += [api.delete(path), api.put(path, BODY, format="json"), api.patch(path, {})]

    assert {answer.status_code for answer in answers} == {404}
    assert everything() == before


def test_staff_who_may_change_may_not_delete(theirs):
    api = staff("view_callschedule", "change_callschedule")
    path = f"/schedule/{theirs.schedule.pk}"

    assert api.delete(path).status_code == 404
    assert api.post(f"{path}/cancel").status_code == 200
