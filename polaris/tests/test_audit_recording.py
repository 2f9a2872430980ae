"""Entries of the audit: what gets into them, with the change and never without it."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import time_machine
from django.db import connection
from django.http import HttpRequest
from django.test.utils import CaptureQueriesContext

from polaris.audit import recording
from polaris.audit.acting import acting, origin, serving, this_process_is
from polaris.audit.changes import changes, gone, made
from polaris.audit.models import CONTENT, AppendOnly, AuditEntry
from polaris.audit.recording import Act, record, record_read, together
from polaris.database import atomic, sent_together
from polaris.ids import earliest_id, new_ids

PLACED = Act("call.placed", "call", "log_1", "schedule_1", {"status": ("pending", "queued")})


@pytest.fixture
def request_of():
    """A request as DRF leaves it behind: with its user and its token."""

    def make(user=None, auth=None, address="192.0.2.7"):
        request = HttpRequest()
        request.META["REMOTE_ADDR"] = address
        request.user, request.auth = user, auth
        return request

    return make


class TestAnEntry:
    pytestmark = pytest.mark.django_db

    def test_says_what_was_done_to_what_and_why(self):
        record(
            Act("schedule.pause", "schedule", "s_1", "s_1", {"status": ("a", "b")}, reason="Why.")
        )

        entry = AuditEntry.objects.get()
        assert (entry.verb, entry.object_kind, entry.object_id) == (
            "schedule.pause",
            "schedule",
            "s_1",
        )
        assert entry.schedule_id == "s_1"
        assert json.loads(entry.changes) == {"status": ["a", "b"]}
        assert entry.reason == "Why."
        assert entry.happened_at.microsecond % 1000 == 0

    def test_says_who_asked_for_it_from_where_in_which_request(self, client_user, request_of):
        token = {"agent_instance_id": "agent_7"}

        with serving(request_of(client_user, token), "request_1"):
            record(PLACED)

        entry = AuditEntry.objects.get(verb=PLACED.verb)
        assert (entry.actor, entry.actor_name) == (f"user_{client_user.pk}", "client")
        assert entry.agent_instance_id == "agent_7"
        assert (entry.address, entry.request_id) == ("192.0.2.7", "request_1")

    @pytest.mark.parametrize("auth", [None, "an api key", SimpleNamespace(), {}, {"x": 1}])
    def test_names_no_agent_where_the_token_names_none(self, client_user, request_of, auth):
        with serving(request_of(client_user, auth), "request_1"):
            record(PLACED)

        assert AuditEntry.objects.get(verb=PLACED.verb).agent_instance_id == ""

    def test_of_a_request_without_an_account_is_nobodys(self, request_of):
        with serving(request_of(), "request_1"):
            record(PLACED)

        assert AuditEntry.objects.get().actor == "nobody"

    def test_masks_numbers_and_shortens_what_is_long_in_its_reason(self):
        record(Act("call.failed", "call", "log_1", reason="+15005550006 is bad. " + "x" * 5000))

        reason = AuditEntry.objects.get().reason
        assert "5005550006" not in reason
        assert reason.startswith("+1••••••0006 is bad.")
        assert len(reason) == recording.LONGEST_REASON

    def test_of_a_verb_that_is_in_no_catalogue_is_refused(self):
        with pytest.raises(ValueError, match=r"call\.plcaed"):
            record(Act("call.plcaed", "call", "log_1"))

        assert not AuditEntry.objects.exists()

    def test_of_a_look_at_something_hidden_changes_nothing(self):
        record_read("phone.reveal", kind="schedule", key="s_1", schedule_id="s_1", reason="Asked.")

        entry = AuditEntry.objects.get()
        assert (entry.verb, entry.changes, entry.reason) == ("phone.reveal", "{}", "Asked.")

    def test_is_the_same_by_our_sql_and_by_the_portable_twin(self, monkeypatch):
        act = Act("call.failed", "call", "log_1", "s_1", {"a": (None, [1, "ö"])}, "100 %s %% 'x'")
        with acting("runner_1", "name"):
            record(act)
            monkeypatch.setattr(recording, "_insert", recording._insert_by_the_orm)
            record(act)

        one, other = AuditEntry.objects.values_list(*CONTENT[2:], "sequence", "hash")
        assert one == other
        assert AuditEntry.objects.filter(reason="100 %s %% 'x'").count() == 2


class TestWhoActs:
    def test_is_the_process_in_every_thread_where_nothing_else_is_said(self):
        this_process_is("runner_1")
        try:
            with ThreadPoolExecutor(1) as threads, acting("somebody else"):
                assert threads.submit(origin).result().actor == "runner_1"
                assert origin().actor == "somebody else"
        finally:
            this_process_is("system")

        assert origin().actor == "system"

    def test_is_the_carrier_within_the_request_that_brought_its_word(self, request_of):
        with serving(request_of(), "request_1"), acting("carrier"):
            who = origin()

        assert (who.actor, who.address, who.request_id) == ("carrier", "192.0.2.7", "request_1")


class TestWhatChanged:
    @pytest.mark.parametrize(
        ("field", "before", "after", "kept"),
        [
            ("status", "scheduled", "paused", ("scheduled", "paused")),
            ("phone", "+15005550006", "+15005550007", ("+1••••••0006", "+1••••••0007")),
            ("description", "Call Mrs Osei", "Call Mr Osei", ("…", "…")),
            ("notes", "", "Her heart", ("", "…")),
            ("user_profile_id", "osei@example.org", "", ("…", "")),
            ("password", "pbkdf2$1", "pbkdf2$2", ("…", "…")),
            (
                "scheduled_time",
                None,
                datetime(2030, 1, 1, tzinfo=UTC),
                (None, "2030-01-01T00:00:00Z"),
            ),
            ("status_reason", "", "+15005550006 refused", ("", "+1••••••0006 refused")),
            ("repeat_config", None, {"frequency": "daily"}, (None, {"frequency": "daily"})),
        ],
    )
    def test_is_kept_without_what_names_a_person(self, field, before, after, kept):
        assert changes({field: before, "same": 1}, {field: after, "same": 1}) == {field: kept}

    def test_of_a_new_object_is_what_it_holds_and_of_one_gone_what_it_held(self):
        assert made({"a": 1, "b": "", "c": None}) == {"a": (None, 1)}
        assert gone({"a": 1, "b": "", "c": None}) == {"a": (1, None)}


class TestTheTransaction:
    def test_takes_the_entry_back_with_the_change(self, transactional_db):
        def fail() -> None:
            with atomic():
                record(PLACED)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()

        assert not AuditEntry.objects.exists()

    def test_takes_back_what_was_gathered_too(self, transactional_db):
        def fail() -> None:
            with atomic(), together():
                record(PLACED)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            fail()
        record(PLACED)

        assert AuditEntry.objects.count() == 1

    @pytest.mark.django_db
    def test_gets_nothing_of_a_block_that_failed_though_it_goes_on_itself(self):
        with atomic():
            with suppress(RuntimeError), together():
                record(PLACED)
                raise RuntimeError
            record(Act("call.ended", "call", "log_1"))

        assert AuditEntry.objects.get().verb == "call.ended"

    @pytest.mark.django_db
    def test_gets_all_that_was_gathered_in_one_statement_and_in_order(self):
        verbs = ["call.ended", "schedule.settled", "call.placed"]
        with CaptureQueriesContext(connection) as asked, together():
            record(Act(verbs[0], "call", "log_1"))
            with together():
                record(Act(verbs[1], "call", "log_1"), Act(verbs[2], "call", "log_1"))

        assert len(asked) == 1
        assert list(AuditEntry.objects.order_by("id").values_list("verb", flat=True)) == verbs

    def test_of_many_writes_sent_together_has_the_entries_too(self, transactional_db):
        with atomic(), sent_together():
            record(*[PLACED] * 600)

        assert AuditEntry.objects.count() == 600


class TestNobody:
    pytestmark = pytest.mark.django_db

    @pytest.fixture
    def entry(self):
        record(PLACED)
        return AuditEntry.objects.get()

    @pytest.mark.parametrize(
        "attempt",
        [
            lambda entry: entry.save(),
            lambda entry: entry.delete(),
            lambda entry: AuditEntry.objects.update(actor="x"),
            lambda entry: AuditEntry.objects.filter(pk=entry.pk).delete(),
            lambda entry: AuditEntry.objects.create(verb="x"),
            lambda entry: AuditEntry.objects.bulk_create([entry]),
            lambda entry: AuditEntry.objects.bulk_update([entry], ["actor"]),
            lambda entry: AuditEntry.objects.get_or_create(pk="x"),
            lambda entry: AuditEntry.objects.update_or_create({"actor": "x"}, pk=entry.pk),
            lambda entry: AuditEntry(verb="x").save(force_insert=True),
        ],
    )
    def test_alters_deletes_or_makes_an_entry_by_the_model(self, entry, attempt):
        before = AuditEntry.objects.values().get()

        with pytest.raises(AppendOnly):
            attempt(entry)

        assert AuditEntry.objects.values().get() == before


def test_ids_made_together_are_in_order_and_sort_by_their_time():
    before = earliest_id("audit", datetime.now(UTC))

    ids = new_ids("audit", 100)

    assert ids == sorted(ids)
    assert len(set(ids)) == 100
    assert new_ids("audit", 1)[0] not in ids
    assert before <= ids[0]
    assert ids[-1] < earliest_id("audit", datetime(2200, 1, 1, tzinfo=UTC))
    assert earliest_id("audit", datetime(1901, 1, 1, tzinfo=UTC)) < ids[0]


def test_ids_of_one_millisecond_are_in_the_order_of_their_making():
    with time_machine.travel(datetime(2030, 1, 1, tzinfo=UTC), tick=False):
        ids = [made for _ in range(50) for made in new_ids("audit", 2)]

    assert ids == sorted(ids)
    assert len(set(ids)) == 100
