"""Every way in which something is written leaves its entry: who, what, before and after, why."""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import time_machine
from django.conf import settings
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.db import connection, connections
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from rest_framework.test import APIClient
from twilio.request_validator import RequestValidator

import manage
import polaris.retention
from polaris.access import owner_id
from polaris.accounts import grants
from polaris.accounts.models import AgentGrant
from polaris.audit import retention, sealing
from polaris.audit.acting import acting, this_process_is
from polaris.audit.models import AuditEntry
from polaris.audit.verbs import VERBS
from polaris.database import atomic
from polaris.privacy import lookup_state
from schedules import gate, runner, services
from schedules.claims import claim_due
from schedules.models import CallSchedule, Runner
from schedules.tests.factories import ActiveScheduleFactory
from tracking.carriers.base import CallNotAccepted, CallReport, CallRequest, Trouble
from tracking.carriers.memory import MemoryCarrier
from tracking.dialling import dial
from tracking.following_up import follow_up
from tracking.ledger import Accepted, record_accepted
from tracking.models import CallLog
from tracking.opening import open_claim
from tracking.reports import apply_report
from tracking.tests.factories import CallLogFactory, NotificationFactory

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
PHONE = "+15005550006"
BODY = {"phone": PHONE, "scheduled_time": "2030-01-02T10:00:00Z", "notes": "Her heart"}
SID = "CA" + "0" * 32
_NEW_KEY = "QSBuZXcga2V5LCBmb3IgdGhpcyB0ZXN0IGFsb25lISE"

pytestmark = pytest.mark.django_db


@dataclass
class World:
    """What the writes need: two people, and a clock that can be moved on."""

    client: User
    operator: User
    api: APIClient
    desk: Client
    clock: Any
    made: dict[str, Any] = field(default_factory=dict)

    def armed(self, **fields: Any) -> CallSchedule:
        fields = {
            "created_by": owner_id(self.client),
            "phone": PHONE,
            "scheduled_time": NOW,
        } | fields
        return ActiveScheduleFactory(**{f"schedule__{k}": v for k, v in fields.items()}).schedule

    def run(self) -> None:
        """A runner dials what is due."""
        moment, lease = datetime.now(UTC), timedelta(seconds=60)
        with acting("runner_a"):
            for armed in claim_due(runner_id="runner_a", moment=moment, limit=9, lease=lease):
                dial(armed.pk, armed.lease)

    def follow_up(self, **later: float) -> None:
        self.clock.shift(timedelta(**later))
        with acting("runner_a"):
            follow_up()

    def refuse(self, trouble: Trouble) -> None:
        error = CallNotAccepted(trouble, code="20003", message=f"No, {PHONE}.")
        MemoryCarrier.troubles.append(error)

    def webhook(self, status: str, log: CallLog | None = None, **more: str) -> None:
        """Twilio tells of a call."""
        fields = {"CallSid": log.call_id if log else SID, "CallStatus": status, "To": PHONE}
        fields |= {"AccountSid": settings.TWILIO_ACCOUNT_SID, **more}
        query = urlencode({"attempt_id": log.pk}) if log else ""
        url = settings.TWILIO_WEBHOOK_URL + (f"?{query}" if query else "")
        body = urlencode(fields)
        signature = RequestValidator(settings.TWILIO_AUTH_TOKEN).compute_signature(
            url, QueryDict(body)
        )
        answer = Client().generic(
            "POST",
            f"/webhook/call-status?{query}",
            body,
            "application/x-www-form-urlencoded",
            headers={"X-Twilio-Signature": signature},
        )
        assert answer.status_code == 204

    def submit(self, name: str, *args: str, **fields: str) -> None:
        """Press a button of the admin's and say yes."""
        answer = self.desk.post(
            reverse(f"admin:{name}", args=args), {"_form_submitted": "True"} | fields
        )
        assert answer.status_code == 302, answer.content

    def unknown(self) -> CallLog:
        self.armed()
        self.refuse(Trouble.AMBIGUOUS)
        self.run()
        return CallLog.objects.get()

    def placed(self) -> CallLog:
        self.armed()
        self.run()
        return CallLog.objects.get()


@pytest.fixture
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def world(clock, client_user, operator, api, desk):
    return World(client_user, operator, api, desk, clock)


@dataclass(frozen=True)
class Case:
    """A write, and what its entry must say; {client} and {operator} are the two people."""

    act: Callable[[World], Any]
    actor: str
    changes: dict[str, list[Any]] = field(default_factory=dict)
    reason: str = ""
    of: str = ""


def on(action: str, **fields: Any) -> Callable[[World], Any]:
    """A client posts an action on a schedule in that state."""
    return lambda world: world.api.post(f"/schedule/{world.armed(**fields).pk}/{action}")


def put(world: World) -> None:
    schedule = world.armed(phone="+15005550001", scheduled_time=NOW + timedelta(days=1))
    assert world.api.put(f"/schedule/{schedule.pk}", BODY, "json").status_code == 200


def sign_in(world: World, *, wrong: str = "") -> None:
    body = {"username": "client", "password": f"a client's password{wrong}"}
    Client(REMOTE_ADDR="192.0.2.9").post("/auth/token", body, "application/json")


def sign_out(world: World) -> None:
    body = {"username": "client", "password": "a client's password"}
    client = Client(REMOTE_ADDR="192.0.2.9")
    given = client.post("/auth/token", body, "application/json").json()
    client.post("/auth/logout", {"refresh": given["refresh"]}, "application/json")


def give_grant(world: World) -> None:
    fields = {"user": world.client.pk, "agent_instance_id": "agent_1"}
    world.desk.post(reverse("admin:polaris_agentgrant_add"), fields)


def withdraw_grant(world: World) -> None:
    grants.grant(user=world.client, agent_instance_id="agent_1", granted_by=world.operator)
    given = quote(AgentGrant.objects.get().pk)
    world.desk.post(reverse("admin:polaris_agentgrant_delete", args=[given]), {"post": "yes"})


def give_up_for_now(world: World) -> None:
    world.armed()
    world.refuse(Trouble.BUSY)
    world.run()


def not_wanted(world: World) -> None:
    give_up_for_now(world)
    schedule = CallSchedule.objects.get()
    world.api.post(f"/schedule/{schedule.pk}/cancel")


def refused_for_good(world: World) -> None:
    world.armed()
    world.refuse(Trouble.NUMBER)
    world.run()


def missed(world: World) -> None:
    world.armed(scheduled_time=NOW - timedelta(hours=1))
    world.run()


def attention(world: World) -> None:
    world.unknown()
    MemoryCarrier.listed = None
    world.follow_up(minutes=11)


def prune(world: World) -> None:
    Runner.objects.create(
        host="h", process_id=1, last_seen_at=NOW - timedelta(days=31), started_at=NOW
    )
    with acting("runner_a"):
        polaris.retention.prune()


def reveal(world: World) -> None:
    schedule = quote(world.armed().pk)
    page = reverse("admin:schedules_callschedule_change", args=[schedule])
    world.desk.post(f"{page.removesuffix('change/')}reveal/")


def erase(world: World) -> None:
    world.armed(status="completed")
    call_command("erase_person", PHONE, "--yes")


def rotate_keys(world: World) -> None:
    world.armed()
    kept = settings.ENCRYPTION_KEYS
    settings.ENCRYPTION_KEYS = (_NEW_KEY, *kept)
    try:
        call_command("rotate_keys")
    finally:
        settings.ENCRYPTION_KEYS = kept


def rotate_lookup_key(world: World) -> None:
    world.armed()
    lookup_state.adopt_quietly()
    kept = settings.LOOKUP_KEYS
    settings.LOOKUP_KEYS = (_NEW_KEY, *kept)
    try:
        call_command("rotate_lookup_key")
    finally:
        settings.LOOKUP_KEYS = kept


def prune_audit(world: World) -> None:
    settings.AUDIT_KEPT_DAYS = 1
    try:
        sealing.seal()
        world.clock.shift(timedelta(days=2))
        with acting("runner_a"):
            retention.prune()
    finally:
        settings.AUDIT_KEPT_DAYS = 0


def user_form(world: World, **changed: Any) -> None:
    user = world.client
    fields = {"username": user.username, "date_joined_0": "2030-01-01", "date_joined_1": "10:00"}
    fields |= {"agent_grants-TOTAL_FORMS": "0", "agent_grants-INITIAL_FORMS": "0"}
    answer = world.desk.post(reverse("admin:auth_user_change", args=[user.pk]), fields | changed)
    assert answer.status_code == 302, answer.content


def group_form(world: World) -> None:
    group = Group.objects.create(name="desk")
    right = Permission.objects.get(codename="view_calllog")
    fields = {"name": "night desk", "permissions": [right.pk]}
    world.desk.post(reverse("admin:auth_group_change", args=[group.pk]), fields)


CASES = {
    "schedule.create": Case(
        lambda world: world.api.post("/schedule/", BODY, "json"),
        "{client}",
        {
            "phone": [None, "+1••••••0006"],
            "notes": [None, "…"],
            "scheduled_time": [None, "2030-01-02T10:00:00Z"],
            "status": [None, "scheduled"],
        },
    ),
    "schedule.change": Case(
        put,
        "{client}",
        {
            "phone": ["+1••••••0001", "+1••••••0006"],
            "notes": ["", "…"],
            "scheduled_time": ["2030-01-02T12:00:00Z", "2030-01-02T10:00:00Z"],
        },
    ),
    "schedule.pause": Case(on("pause"), "{client}", {"status": ["scheduled", "paused"]}),
    "schedule.resume": Case(
        on("resume", status="paused"), "{client}", {"status": ["paused", "scheduled"]}
    ),
    "schedule.cancel": Case(
        lambda world: world.api.post(
            f"/schedule/{world.armed(status='paused').pk}/cancel", {"hang_up": True}, "json"
        ),
        "{client}",
        {"status": ["paused", "cancelled"], "hang_up": [None, True]},
    ),
    "schedule.delete": Case(
        lambda world: world.api.delete(f"/schedule/{world.armed().pk}"),
        "{client}",
        {"phone": ["+1••••••0006", None], "status": ["scheduled", None]},
    ),
    "schedule.call_now": Case(
        lambda world: world.submit("schedules_callschedule_call_now", _quoted(world.armed())),
        "{operator}",
    ),
    "schedule.settled": Case(
        lambda world: world.webhook("completed", world.placed(), CallDuration="7"),
        "carrier",
        {"status": ["running", "completed"]},
    ),
    "call.placed": Case(
        lambda world: world.placed(), "runner_a", {"status": ["pending", "queued"]}, of="call"
    ),
    "call.answered": Case(
        lambda world: world.webhook("in-progress", world.placed()),
        "carrier",
        {"status": ["queued", "in_progress"]},
    ),
    "call.ended": Case(
        lambda world: world.webhook("busy", world.placed()),
        "carrier",
        {"status": ["queued", "busy"]},
        "The line was busy.",
    ),
    "call.failed": Case(
        refused_for_good, "runner_a", {"status": ["pending", "failed"]}, "No, +1••••••0006."
    ),
    "call.deferred": Case(
        give_up_for_now, "runner_a", {"status": ["pending", "deferred"]}, "No, +1••••••0006."
    ),
    "call.unknown": Case(
        lambda world: world.unknown(),
        "runner_a",
        {"status": ["pending", "unknown"]},
        "No, +1••••••0006. The call may have been placed.",
    ),
    "call.not_placed": Case(
        lambda world: (world.unknown(), world.follow_up(minutes=3)),
        "runner_a",
        {"status": ["unknown", "failed"]},
        "The carrier never took this call.",
    ),
    "call.missed": Case(
        missed, "runner_a", {"status": [None, "missed"]}, "Its time passed 1:00:00"
    ),
    "call.not_wanted": Case(
        not_wanted,
        "{client}",
        {"status": ["deferred", "cancelled"]},
        "Its schedule was cancelled.",
    ),
    "call.foreign": Case(
        lambda world: world.webhook("ringing"),
        "carrier",
        {"status": [None, "ringing"], "phone": [None, "+1••••••0006"]},
    ),
    "call.attention": Case(attention, "runner_a", reason="The carrier cannot be asked"),
    "call.ask": Case(
        lambda world: world.submit("tracking_calllog_ask_now", _quoted(world.unknown())),
        "{operator}",
    ),
    "call.settled_by_hand": Case(
        lambda world: world.submit(
            "tracking_calllog_settle_as_failed", _quoted(world.unknown()), reason="Not in the list"
        ),
        "{operator}",
        {"status": ["unknown", "failed"]},
        "operator has looked it up and settled it as failed: Not in the list",
    ),
    "gate.close": Case(
        lambda world: world.submit("schedules_gate_stop", "calls", reason="Wrong agent"),
        "{operator}",
        {"state": ["open", "closed"]},
        "Wrong agent",
    ),
    "gate.open": Case(
        lambda world: (gate.close("x"), world.submit("schedules_gate_dial_again", "calls")),
        "{operator}",
        {"state": ["closed", "open"]},
    ),
    "notification.resend": Case(
        lambda world: world.submit(
            "tracking_notification_send_again", _quoted(NotificationFactory(status="failed"))
        ),
        "{operator}",
        {"status": ["failed", "waiting"]},
    ),
    "account.create": Case(
        lambda world: world.desk.post(
            reverse("admin:auth_user_add"),
            {
                "username": "ann",
                "usable_password": "true",
                "password1": "Xyzzy-plugh-9",
                "password2": "Xyzzy-plugh-9",
            },
        ),
        "{operator}",
        {"username": [None, "ann"], "password": [None, "…"], "is_superuser": [None, False]},
    ),
    "account.change": Case(
        lambda world: user_form(world, is_active="on", is_superuser="on", email="a@example.org"),
        "{operator}",
        {"is_superuser": [False, True], "email": ["", "…"]},
    ),
    "account.delete": Case(
        lambda world: world.desk.post(
            reverse("admin:auth_user_delete", args=[world.client.pk]), {"post": "yes"}
        ),
        "{operator}",
        {"username": ["client", None]},
    ),
    "group.create": Case(
        lambda world: world.desk.post(reverse("admin:auth_group_add"), {"name": "desk"}),
        "{operator}",
        {"name": [None, "desk"]},
    ),
    "group.change": Case(group_form, "{operator}", {"name": ["desk", "night desk"]}),
    "group.delete": Case(
        lambda world: world.desk.post(
            reverse("admin:auth_group_delete", args=[Group.objects.create(name="desk").pk]),
            {"post": "yes"},
        ),
        "{operator}",
        {"name": ["desk", None]},
    ),
    "session.begin": Case(
        lambda world: Client().post(
            "/admin/login/", {"username": "operator", "password": "an operator's password"}
        ),
        "{operator}",
    ),
    "session.end": Case(lambda world: world.desk.post("/admin/logout/"), "{operator}"),
    "session.refused": Case(lambda world: sign_in(world, wrong="!"), "nobody"),
    "token.issue": Case(sign_in, "{client}"),
    "token.end": Case(sign_out, "{client}", reason="Signed out."),
    "grant.create": Case(
        give_grant, "{operator}", {"agent_instance_id": [None, "agent_1"]}, of="grant"
    ),
    "grant.delete": Case(
        withdraw_grant, "{operator}", {"agent_instance_id": ["agent_1", None]}, of="grant"
    ),
    "runner.start": Case(lambda world: runner.register(), "runner_"),
    "runner.stop": Case(lambda world: runner.sign_off(runner.register().pk), "runner_"),
    "housekeeping.prune": Case(prune, "runner_a", {"traces": [1, 0]}, "Older than 30 days."),
    "phone.reveal": Case(reveal, "{operator}", of="schedule"),
    "person.erase": Case(erase, "system", {"schedules": [1, 0]}),
    "keys.rotate": Case(rotate_keys, "system", {"call_schedules.phone": [1, 0]}, of="key"),
    "keys.rotate_lookup": Case(rotate_lookup_key, "system", of="key"),
    "audit.prune": Case(prune_audit, "runner_a", reason="Older than 1 days."),
}


def _quoted(row: Any) -> str:
    return quote(row.pk)


def test_there_is_a_case_for_every_verb():
    assert set(CASES) == set(VERBS)


@pytest.mark.parametrize("verb", CASES)
def test_a_write_leaves_its_entry(world, verb):
    case = CASES[verb]

    case.act(world)

    entries = AuditEntry.objects.filter(verb=verb).order_by("-id")
    fitting = [each for each in entries if case.changes.keys() <= json.loads(each.changes).keys()]
    assert fitting, list(AuditEntry.objects.values_list("verb", "changes", "reason"))
    entry = fitting[0]
    people = {"client": owner_id(world.client), "operator": owner_id(world.operator)}
    assert entry.actor.startswith(case.actor.format(**people))
    changed = json.loads(entry.changes)
    assert {name: changed.get(name) for name in case.changes} == case.changes
    assert entry.reason.startswith(case.reason)
    assert (case.of or verb.partition(".")[0]) in {entry.object_kind, "session", "token"}
    assert PHONE not in entry.changes + entry.reason
    if verb.startswith(("schedule.", "call.")) and verb != "call.foreign":
        assert entry.schedule_id.startswith("schedule_")


@pytest.mark.parametrize("verb", [verb for verb in CASES if CASES[verb].actor[0] == "{"])
def test_an_entry_of_a_request_bears_its_id_and_address(world, verb):
    CASES[verb].act(world)

    entry = AuditEntry.objects.filter(verb=verb).order_by("-id").first()
    assert entry.address
    assert entry.request_id.startswith("request_")


def test_a_one_time_call_leaves_four_entries_between_its_creation_and_its_end(world):
    log = world.placed()
    for number, status in enumerate(("initiated", "ringing", "in-progress", "completed")):
        world.webhook(status, log, SequenceNumber=str(number))

    told = AuditEntry.objects.filter(schedule_id=log.schedule_id).order_by("id")
    assert list(told.values_list("verb", flat=True)) == [
        "call.placed",
        "call.answered",
        "call.ended",
        "schedule.settled",
    ]


def test_a_webhook_that_ends_a_call_writes_its_two_entries_in_one_statement(world):
    log = world.placed()

    with CaptureQueriesContext(connection) as asked:
        world.webhook("completed", log)

    assert len(_inserts(asked)) == 1
    assert set(AuditEntry.objects.order_by("-id").values_list("verb", flat=True)[:2]) == {
        "call.ended",
        "schedule.settled",
    }


def test_answers_that_are_written_together_have_their_entries_in_one_statement(world):
    for number in range(5):
        world.armed(phone=f"+1500555100{number}")
    lease = timedelta(seconds=60)
    claims = claim_due(runner_id="runner_a", moment=NOW, limit=9, lease=lease)
    opened = open_claim(claims[0].lease)
    accepted = [
        Accepted(each.armed, each.log, MemoryCarrier().place_call(_request(each.log)), NOW)
        for each in opened.values()
    ]

    with CaptureQueriesContext(connection) as asked, acting("runner_a"):
        record_accepted(accepted)

    assert len(_inserts(asked)) == 1
    assert AuditEntry.objects.filter(verb="call.placed", actor="runner_a").count() == 5


def _inserts(asked: CaptureQueriesContext) -> list[str]:
    said = [query["sql"] for query in asked.captured_queries]
    return [sql for sql in said if sql.startswith('INSERT INTO "audit_entries"')]


def _request(log: CallLog) -> CallRequest:
    return CallRequest(
        to=log.phone,
        attempt_id=log.pk,
        schedule_id=log.schedule_id,
        agent_instance_id="",
        detects_machines=False,
    )


def test_a_webhook_that_comes_twice_leaves_one_entry(world):
    log = world.placed()
    world.webhook("in-progress", log)
    world.webhook("in-progress", log)

    assert AuditEntry.objects.filter(verb="call.answered").count() == 1


def test_changing_nothing_but_a_text_says_that_it_changed_and_not_what(world):
    schedule = world.armed(description="Call Mrs Osei", scheduled_time=NOW + timedelta(days=1))

    world.api.patch(f"/schedule/{schedule.pk}", {"description": "Call Mr Osei"}, "json")

    entry = AuditEntry.objects.get(verb="schedule.change")
    assert json.loads(entry.changes) == {"description": ["…", "…"]}


def test_an_edit_in_the_admin_knows_what_was_before(world):
    schedule = world.armed(description="Before", scheduled_time=NOW + timedelta(days=1))
    path = reverse("admin:schedules_callschedule_change", args=[_quoted(schedule)])
    form = world.desk.get(path).context["adminform"].form
    fields = {name: form.get_initial_for_field(box, name) for name, box in form.fields.items()}
    fields = {name: value for name, value in fields.items() if value not in (None, False)}
    fields |= {"scheduled_time_0": "2030-01-03", "scheduled_time_1": "09:00", "description": "Now"}

    answer = world.desk.post(path, fields)

    assert answer.status_code == 302, answer.context["errors"]
    changed = json.loads(AuditEntry.objects.get(verb="schedule.change").changes)
    assert changed["scheduled_time"] == ["2030-01-02T12:00:00Z", "2030-01-03T09:00:00Z"]
    assert changed["description"] == ["…", "…"]


@pytest.mark.parametrize(
    ("give", "change"),
    [
        (lambda user, group: user.groups.add(group), {"groups": [None, ["desk"]]}),
        (lambda user, group: group.user_set.add(user), {"groups": [None, ["desk"]]}),
        (
            lambda user, group: (user.groups.add(group), user.groups.clear()),
            {"groups": [["desk"], None]},
        ),
        (
            lambda user, group: (user.groups.add(group), user.groups.set([])),
            {"groups": [["desk"], None]},
        ),
    ],
)
def test_what_an_account_is_given_and_loses_is_named(world, give, change):
    give(world.client, Group.objects.create(name="desk"))

    entry = AuditEntry.objects.filter(verb="account.change").order_by("-id").first()
    assert entry.object_id == owner_id(world.client)
    assert json.loads(entry.changes) == change


def test_a_right_is_named_in_the_words_of_the_admin(world):
    world.client.user_permissions.add(Permission.objects.get(codename="view_calllog"))

    entry = AuditEntry.objects.get(verb="account.change")
    assert "Can view call log" in entry.changes


@pytest.mark.parametrize(("name", "account"), [("client", "{client}"), ("ghost", ""), ("a\0b", "")])
def test_a_refused_sign_in_names_the_account_and_never_what_was_typed(world, name, account):
    sign_in_as = {"username": name, "password": "my secret"}
    Client().post("/admin/login/", sign_in_as)

    for entry in AuditEntry.objects.filter(verb="session.refused"):
        assert entry.object_id == account.format(client=owner_id(world.client))
        assert "my secret" not in str(vars(entry))
        assert "ghost" not in str(vars(entry))


def test_a_command_acts_in_its_own_name(world, monkeypatch, capsys, settings):
    settings.PUBLIC_HOSTS = []  # where others can come in there is no demo
    monkeypatch.setattr(sys, "argv", ["manage.py", "createdemo"])
    monkeypatch.setattr(connections, "close_all", lambda: None)  # it is the test's connection
    try:
        manage.main()
    finally:
        this_process_is("system")

    actors = set(AuditEntry.objects.filter(verb="schedule.create").values_list("actor", flat=True))
    assert actors == {"command createdemo"}
    made = AuditEntry.objects.filter(verb="account.create").order_by("id").last()
    assert made.actor == "command createdemo"


class TestWhatIsRefusedOrRolledBack:
    def test_leaves_no_entry_where_the_state_forbids_it(self, world):
        schedule = world.armed(status="completed")

        answer = world.api.post(f"/schedule/{schedule.pk}/pause")

        assert answer.status_code == 409
        assert not AuditEntry.objects.filter(schedule_id=schedule.pk).exists()

    @pytest.mark.parametrize(
        "act",
        [
            services.pause,
            services.cancel,
            services.delete_schedule,
            services.call_now,
        ],
    )
    def test_leaves_no_entry_where_the_transaction_fails_afterwards(self, world, act):
        schedule = world.armed()

        def fail() -> None:
            with atomic():
                act(schedule)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()

        assert not AuditEntry.objects.filter(schedule_id=schedule.pk).exists()
        assert CallSchedule.objects.get().status == "scheduled"

    def test_leaves_no_change_where_the_entry_cannot_be_written(self, world, monkeypatch):
        monkeypatch.setattr("polaris.audit.recording._insert", lambda rows: 1 / 0)
        schedule = world.armed()

        with pytest.raises(ZeroDivisionError):
            services.pause(schedule)

        assert CallSchedule.objects.get().status == "scheduled"

    def test_gives_no_token_where_the_entry_cannot_be_written(self, world, monkeypatch):
        monkeypatch.setattr("polaris.audit.recording._insert", lambda rows: 1 / 0)
        body = {"username": "client", "password": "a client's password"}

        client = Client(raise_request_exception=False)

        answer = client.post("/auth/token", body, "application/json")

        assert answer.status_code == 500

    def test_leaves_no_entry_where_a_report_is_late(self, world):
        log = CallLogFactory(status="completed", call_id=SID)

        apply_report(CallReport(call_id=SID, status="ringing", at=NOW, attempt_id=log.pk))

        assert not AuditEntry.objects.filter(object_id=log.pk).exists()
