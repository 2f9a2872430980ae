"""Tokens for one agent instance: what they stand on, and what they leave alone."""

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory

from polaris.access import Actor, actor_of, address_of, agent_of, network_of, owner_id
from polaris.accounts import grants
from polaris.accounts.models import AgentGrant
from polaris.accounts.tokens import issue
from schedules.models import CallSchedule
from schedules.tests.factories import ActiveScheduleFactory
from tracking.models import CallLog
from tracking.tests.factories import CallLogFactory

BODY = {"phone": "+1234567890", "scheduled_time": "2999-01-15T10:00:00Z"}
CREDENTIALS = {"username": "client", "password": "a client's password"}
FIRST = {"agent_instance_id": "agent_1"}
SECOND = {"agent_instance_id": "agent_2"}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def granted(client_user):
    """The client may act for agent_1."""
    return grants.grant(user=client_user, agent_instance_id="agent_1", granted_by=None)


class Bearer:
    """The API with a token."""

    def __init__(self, token):
        self.token = token

    def ask(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}"}
        data = {"data": body, "content_type": "application/json"} if method != "get" else {}
        return getattr(Client(), method)(path, headers=headers, **data)


def sign_in(**more):
    return Client().post("/auth/token", CREDENTIALS | more, "application/json")


def said(answer):
    return answer.status_code, answer.json()["error_code"], answer.json()["details"]["field"]


@pytest.fixture
def agent():
    """The API as agent_1 of the client sees it."""
    return Bearer(sign_in(**FIRST).json()["access"])


def make(user, **more):
    armed = ActiveScheduleFactory(
        schedule__created_by=owner_id(user), **{f"schedule__{k}": v for k, v in more.items()}
    )
    CallLogFactory(schedule=armed.schedule, created_by=owner_id(user), status="completed", **more)
    return armed.schedule


# -- the token -----------------------------------------------------------------------------------


def test_a_token_for_an_agent_that_is_not_granted_is_refused():
    assert said(sign_in(**SECOND)) == (403, "AUTH_005", "agent_instance_id")


def test_a_grant_of_another_account_does_not_count():
    other = User.objects.create_user("other")
    grants.grant(user=other, agent_instance_id="agent_2", granted_by=None)

    assert said(sign_in(**SECOND)) == (403, "AUTH_005", "agent_instance_id")


def test_a_superuser_needs_the_grant_too(operator):
    credentials = {"username": "operator", "password": "an operator's password"}

    answer = Client().post("/auth/token", credentials | FIRST, "application/json")

    assert said(answer) == (403, "AUTH_005", "agent_instance_id")


def test_a_wrong_password_tells_nothing_of_grants():
    answers = [sign_in(password="wrong", **which) for which in (FIRST, SECOND)]

    assert {said(answer) for answer in answers} == {(401, "AUTH_002", "username")}


@pytest.mark.parametrize("agent_instance_id", ["", None, "x" * 129, {}, []])
def test_an_agent_that_is_none_is_refused_instead_of_left_out(agent_instance_id):
    answer = sign_in(agent_instance_id=agent_instance_id)

    assert answer.status_code == 400
    assert answer.json()["details"]["field"] == "agent_instance_id"


def test_a_refresh_keeps_the_agent(client_user):
    mine = make(client_user, **FIRST)
    make(client_user, **SECOND)
    refresh = sign_in(**FIRST).json()["refresh"]

    for _ in range(2):
        pair = Client().post("/auth/token/refresh", {"refresh": refresh}, "application/json").json()
        refresh = pair["refresh"]

    found = Bearer(pair["access"]).ask("get", "/schedule/").json()["results"]
    assert [row["id"] for row in found] == [mine.pk]


def test_a_withdrawn_grant_ends_its_tokens_at_once(client_user):
    pair = sign_in(**FIRST).json()
    agent = Bearer(pair["access"])
    assert agent.ask("get", "/schedule/").status_code == 200

    assert grants.withdraw(user=client_user, agent_instance_id="agent_1")

    assert said(agent.ask("get", "/schedule/"))[:2] == (401, "AUTH_003")
    again = Client().post("/auth/token/refresh", {"refresh": pair["refresh"]}, "application/json")
    assert said(again)[:2] == (401, "AUTH_003")


def test_a_withdrawn_grant_leaves_the_accounts_other_tokens_alone(client_user):
    access = sign_in().json()["access"]
    grants.withdraw(user=client_user, agent_instance_id="agent_1")

    assert Bearer(access).ask("get", "/schedule/").status_code == 200


def test_the_agents_grant_is_looked_up_with_the_account(client_user, django_assert_num_queries):
    make(client_user, **FIRST)
    plain, agent = (Bearer(sign_in(**which).json()["access"]) for which in ({}, FIRST))

    with django_assert_num_queries(3):  # the account, how many, and a page of them
        plain.ask("get", "/schedule/")
    with django_assert_num_queries(3):
        agent.ask("get", "/schedule/")


# -- what it sees --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/schedule/", "/schedule/active", "/schedule/tracking/logs"])
@pytest.mark.parametrize("query", ["", "agent_instance_id=agent_1", "agent_instance_id=agent_2"])
def test_lists_hold_what_is_the_agents_alone(agent, client_user, path, query):
    make(client_user, **FIRST)
    make(client_user, **SECOND)
    make(client_user)
    make(User.objects.create_user("other"), **FIRST)
    if query and path == "/schedule/active":
        return

    answer = agent.ask("get", f"{path}?{query}").json()

    assert answer["count"] == (0 if "agent_2" in query else 1)
    assert all(row.get("agent_instance_id", "agent_1") == "agent_1" for row in answer["results"])


def test_figures_count_what_is_the_agents_alone(agent, client_user):
    for which in (FIRST, SECOND, {}):
        make(client_user, **which)

    assert agent.ask("get", "/schedule/tracking/stats").json()["total_calls"] == 1


def test_an_occurrence_lists_no_attempt_that_was_another_agents(agent, client_user):
    """A schedule that has been moved keeps its past, of which only is told that it is there."""
    schedule = make(client_user, **FIRST)
    log = CallLog.objects.get(schedule=schedule)
    CallLog.objects.update(agent_instance_id="agent_2", timestamp=log.occurrence)
    day = f"{log.occurrence:%Y-%m-%d}"
    path = f"/schedule/{schedule.pk}/occurrences?from={day}&to={day}"

    hidden = agent.ask("get", path).json()["results"]
    CallLog.objects.update(agent_instance_id="agent_1")
    shown = agent.ask("get", path).json()["results"]

    assert [len(each["attempts"]) for each in hidden] == [0]
    assert [len(each["attempts"]) for each in shown] == [1]
    assert hidden[0]["outcome"] == "unknown" != shown[0]["outcome"]
    assert "another agent's" in hidden[0]["reason"]


# -- what it writes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent", [{}, {"agent_instance_id": ""}, {"agent_instance_id": None}, FIRST]
)
def test_what_it_creates_is_the_agents(agent, sent):
    answer = agent.ask("post", "/schedule/", BODY | sent)

    assert answer.status_code == 200
    assert CallSchedule.objects.get().agent_instance_id == "agent_1"


@pytest.mark.parametrize("path", ["/schedule/", "/schedule/preview"])
def test_it_creates_nothing_for_another_agent(agent, path):
    answer = agent.ask("post", path, BODY | SECOND)

    assert said(answer) == (403, "AUTH_006", "agent_instance_id")
    assert not CallSchedule.objects.exists()


@pytest.mark.parametrize("method", ["put", "patch"])
def test_no_change_moves_a_schedule_to_another_agent(agent, client_user, method):
    mine = make(client_user, **FIRST)
    before = CallSchedule.objects.values().get()

    answer = agent.ask(method, f"/schedule/{mine.pk}", BODY | SECOND)

    assert said(answer) == (403, "AUTH_006", "agent_instance_id")
    assert CallSchedule.objects.values().get() == before


@pytest.mark.parametrize("method", ["put", "patch"])
@pytest.mark.parametrize("sent", [{}, {"agent_instance_id": ""}, FIRST])
def test_a_change_keeps_the_agent(agent, client_user, method, sent):
    mine = make(client_user, **FIRST)

    answer = agent.ask(method, f"/schedule/{mine.pk}", BODY | sent)

    assert answer.status_code == 200
    mine.refresh_from_db()
    assert (mine.agent_instance_id, mine.phone) == ("agent_1", "+1234567890")


def test_a_history_tells_nothing_of_the_time_when_it_was_another_agents(client_user):
    anybody = Bearer(sign_in().json()["access"])
    created = anybody.ask("post", "/schedule/", BODY | SECOND).json()["schedule_id"]
    path = f"/schedule/{created}"
    anybody.ask("patch", path, FIRST)
    anybody.ask("post", f"{path}/pause")
    agent = Bearer(sign_in(**FIRST).json()["access"])

    def verbs(who):
        return [each["verb"] for each in who.ask("get", f"{path}/history").json()["results"]]

    assert verbs(agent) == ["schedule.pause"]
    assert verbs(anybody) == ["schedule.pause", "schedule.change", "schedule.create"]


def test_a_token_for_no_agent_may_name_any(client_user):
    answer = Bearer(sign_in().json()["access"]).ask("post", "/schedule/", BODY | SECOND)

    assert answer.status_code == 200
    assert CallSchedule.objects.get().agent_instance_id == "agent_2"


# -- grants --------------------------------------------------------------------------------------


def test_granting_twice_is_one_grant(client_user, granted, operator):
    again = grants.grant(user=client_user, agent_instance_id="agent_1", granted_by=operator)

    assert again == granted
    assert AgentGrant.objects.count() == 1


def test_withdrawing_what_was_not_granted_says_so(client_user):
    assert not grants.withdraw(user=client_user, agent_instance_id="agent_2")


def form_of(**rows):
    return {
        "agent_grants-TOTAL_FORMS": "2",
        "agent_grants-INITIAL_FORMS": "1",
        "agent_grants-MIN_NUM_FORMS": "0",
        "agent_grants-MAX_NUM_FORMS": "1000",
        **{f"agent_grants-{name.replace('__', '-')}": value for name, value in rows.items()},
    }


def test_an_operator_grants_and_withdraws_on_the_accounts_page(
    desk, client_user, operator, granted
):
    path = f"/admin/auth/user/{client_user.pk}/change/"
    page = desk.get(path).context["adminform"].form
    form = {name: value for name, value in page.initial.items() if isinstance(value, str)}
    form |= {"is_active": "on", "date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    form |= form_of(
        **{"0__id": granted.pk, "0__user": client_user.pk, "0__DELETE": "on"},
        **{"1__user": client_user.pk, "1__agent_instance_id": "agent_2"},
    )

    answer = desk.post(path, form)

    assert answer.status_code == 302, answer.context["errors"]
    (left,) = AgentGrant.objects.all()
    assert (left.user, left.agent_instance_id) == (client_user, "agent_2")
    assert left.granted_by == operator


def test_an_operator_grants_and_withdraws_on_the_list(desk, client_user, operator):
    add = {"user": client_user.pk, "agent_instance_id": "agent_2"}
    assert desk.post("/admin/polaris/agentgrant/add/", add).status_code == 302
    (given,) = AgentGrant.objects.filter(agent_instance_id="agent_2")
    assert given.granted_by == operator
    assert "agent_2" in desk.get("/admin/polaris/agentgrant/").content.decode()

    answer = desk.post(f"/admin/polaris/agentgrant/{given.pk}/delete/", {"post": "yes"})

    assert answer.status_code == 302
    assert not AgentGrant.objects.filter(agent_instance_id="agent_2").exists()


def test_a_grant_is_never_changed(desk, granted):
    path = f"/admin/polaris/agentgrant/{granted.pk}/change/"
    assert desk.get(path).status_code == 200

    assert desk.post(path, {"agent_instance_id": "agent_9"}).status_code == 403

    granted.refresh_from_db()
    assert granted.agent_instance_id == "agent_1"


# -- who acts ------------------------------------------------------------------------------------


def request(user, token=None, address="192.0.2.7", **meta):
    asked = RequestFactory().get("/", REMOTE_ADDR=address, **meta)
    asked.user, asked.auth = user, token
    return asked


def test_who_acts_is_told_from_the_request(client_user):
    token = issue(user=client_user, agent="agent_1").access_token

    actor = actor_of(request(client_user, token, HTTP_X_FORWARDED_FOR="10.0.0.1"))

    assert actor == Actor(owner_id(client_user), "client", "agent_1", "192.0.2.7")


def test_nobody_acts_without_signing_in():
    nobody = SimpleNamespace(is_authenticated=False)

    assert actor_of(request(nobody)) == Actor("", "", "", "192.0.2.7")


def test_a_session_is_for_no_agent(client_user):
    assert agent_of(request(client_user)) == ""


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_one_host_counts_as_one_address(client_user, address, network):
    asked = request(client_user, address=address)

    assert (network_of(asked), address_of(asked)) == (network, address)
