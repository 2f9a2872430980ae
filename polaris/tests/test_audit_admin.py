"""The operators' page about the audit."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.contrib.admin.utils import quote
from django.urls import reverse

from polaris.audit.acting import acting
from polaris.audit.models import AuditEntry
from polaris.audit.recording import Act, record
from polaris.audit.sealing import seal
from polaris.tests.accounts import signed_in
from schedules.tests.factories import CallScheduleFactory

LIST = "admin:polaris_auditentry_changelist"

pytestmark = pytest.mark.django_db


def page(entry: AuditEntry, name: str = "change") -> str:
    return reverse(f"admin:polaris_auditentry_{name}", args=[quote(entry.pk)])


@pytest.fixture
def entry() -> AuditEntry:
    schedule = CallScheduleFactory()
    changed = {"status": ("scheduled", "paused"), "repeat_config": (None, {"frequency": "daily"})}
    with acting("user_7", "ann"):
        record(Act("schedule.pause", "schedule", schedule.pk, schedule.pk, changed, "Asked for."))
    return AuditEntry.objects.get(verb="schedule.pause")


def test_the_list_says_who_did_what_to_which_object_and_why(desk, entry):
    shown = desk.get(reverse(LIST)).content.decode()

    for words in ("ann", "user_7", "schedule.pause", entry.object_id, "scheduled → paused"):
        assert words in shown
    assert "Asked for." in shown


def test_an_entrys_page_shows_before_and_after_as_a_table(desk, entry):
    seal()

    shown = desk.get(page(entry)).content.decode()

    for words in ("Before", "After", "repeat_config", "frequency", "as number"):
        assert words in shown
    assert reverse("admin:schedules_callschedule_change", args=[quote(entry.schedule_id)]) in shown


def test_one_that_is_not_sealed_says_so(desk, entry):
    assert "not yet sealed" in desk.get(page(entry)).content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("who=people", True),
        ("who=runners", False),
        ("who=nobody", False),
        ("actor__icontains=user_7", True),
        ("actor__icontains=user_8", False),
        ("verb__icontains=schedule.", True),
        ("verb__icontains=gate.", False),
        ("object_kind__icontains=schedule", True),
        ("object_kind__icontains=call", False),
        ("happened_at_from=2030-01-01&happened_at_to=2030-01-01", True),
        ("happened_at_from=2030-01-02", False),
        ("happened_at_to=2029-12-31", False),
        ("q={id}", True),
        ("q={schedule_id}", True),
        ("q=nothing", False),
    ],
)
def test_the_list_can_be_narrowed(query, found):
    with time_machine.travel(datetime(2030, 1, 1, 12, tzinfo=UTC), tick=False):
        record(Act("gate.open", "gate", "other_object"))
        AuditEntry.objects.get()
    client = signed_in("view_auditentry")
    with (
        time_machine.travel(datetime(2030, 1, 1, 13, tzinfo=UTC), tick=False),
        acting("user_7", "ann"),
    ):
        record(Act("schedule.pause", "schedule", "schedule_9", "schedule_9"))
    wanted = AuditEntry.objects.get(verb="schedule.pause")
    query = query.format(id=wanted.pk, schedule_id=wanted.schedule_id)

    rows = client.get(f"{reverse(LIST)}?{query}").context["cl"].result_list

    assert (wanted in rows) is found


def test_a_schedules_page_shows_its_history(desk, entry):
    path = reverse("admin:schedules_callschedule_change", args=[quote(entry.schedule_id)])

    shown = desk.get(path).content.decode()

    assert "History" in shown
    assert "schedule.pause" in shown


def test_the_history_of_a_deleted_schedule_is_still_found(desk, entry):
    CallScheduleFactory._meta.model.objects.all().delete()

    rows = desk.get(reverse(LIST), {"q": entry.schedule_id}).context["cl"].result_list

    assert entry in rows


def test_it_asks_the_database_as_often_for_many_rows_as_for_few(desk, django_assert_num_queries):
    record(Act("gate.open", "gate", "calls"))
    desk.get(reverse(LIST))
    with django_assert_num_queries(4):
        desk.get(reverse(LIST))
    record(*(Act("call.placed", "call", f"log_{n}", "s") for n in range(40)))

    with django_assert_num_queries(4):
        desk.get(reverse(LIST))


class TestWhoMay:
    def test_who_may_not_view_it_sees_nothing_of_it(self, entry):
        client = signed_in("view_callschedule")
        path = reverse("admin:schedules_callschedule_change", args=[quote(entry.schedule_id)])

        assert client.get(reverse(LIST)).status_code == 403
        assert client.get(page(entry)).status_code == 403
        assert "schedule.pause" not in client.get(path).content.decode()

    @pytest.mark.parametrize("name", ["change", "delete"])
    def test_nobody_changes_or_deletes_an_entry(self, desk, entry, name):
        before = AuditEntry.objects.values().get(pk=entry.pk)

        answer = desk.post(page(entry, name), {"post": "yes", "actor": "x"})

        assert answer.status_code == 403
        assert AuditEntry.objects.values().get(pk=entry.pk) == before

    def test_nobody_adds_or_deletes_from_the_list(self, desk, entry):
        data = {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}

        desk.post(reverse(LIST), data)

        assert desk.post(reverse("admin:polaris_auditentry_add")).status_code == 403
        assert AuditEntry.objects.filter(pk=entry.pk).exists()


def test_days_of_the_filter_are_whole(desk):
    moment = datetime(2030, 1, 1, 23, 59, 59, 999_000, tzinfo=UTC)
    for step in (timedelta(), timedelta(milliseconds=1)):
        with time_machine.travel(moment + step, tick=False):
            record(Act("gate.open", "gate", f"{step.microseconds}"))

    query = {"happened_at_from": "2030-01-01", "happened_at_to": "2030-01-01"}
    rows = desk.get(reverse(LIST), query).context["cl"].result_list

    assert [row.object_id for row in rows] == ["0"]
