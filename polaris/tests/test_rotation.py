"""Replacing keys: resumable, beside working processes, and never with two hashes of one number."""

import os
import secrets
import subprocess
import sys
import threading

import pytest
from django.conf import settings as of_the_suite
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection

from polaris.audit.models import AuditEntry
from polaris.privacy import lookup_state, resealing
from polaris.privacy.lookup_state import WrongLookupKey
from polaris.privacy.models import LookupState
from polaris.privacy.resealing import behind, how_many_are_behind
from polaris.privacy.sealing import lookup_of
from polaris.tests.stack import HOME, wait_until, which_database
from schedules.models import CallSchedule, Runner
from schedules.tests.factories import ActiveScheduleFactory, CallScheduleFactory
from tracking import dialling
from tracking.models import CallLog
from tracking.opening import open_claim
from tracking.tests.factories import CallLogFactory, NotificationFactory
from webhooks.models import WebhookEvent

NUMBER = "+4915112345678"


def new_key() -> str:
    return secrets.token_urlsafe(32)


def turn(settings) -> list[str]:
    """A new key in front; returns the older ones."""
    older = list(settings.ENCRYPTION_KEYS)
    settings.ENCRYPTION_KEYS = [new_key(), *older]
    return older


@pytest.mark.django_db
class TestEncryptionKeys:
    def test_afterwards_the_old_key_may_go(self, settings, capsys):
        schedule = CallScheduleFactory(phone=NUMBER, notes="a note")
        log = CallLogFactory(phone=NUMBER)
        message = NotificationFactory(payload={"a": NUMBER})
        event = WebhookEvent.objects.create(payload={"To": NUMBER})
        turn(settings)

        call_command("rotate_keys")

        settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
        for row in (schedule, log, message, event):
            row.refresh_from_db()
        assert (schedule.phone, schedule.notes, log.phone) == (NUMBER, "a note", NUMBER)
        assert (message.payload, event.payload) == ({"a": NUMBER}, {"To": NUMBER})
        said = capsys.readouterr().out
        assert "6 values to seal" in said  # one of them is that of the log's schedule
        assert "0 left" in said
        assert "the older ones may go" in said

    def test_a_lookup_survives_it(self, settings):
        CallScheduleFactory(phone=NUMBER)
        turn(settings)

        call_command("rotate_keys")

        assert CallSchedule.objects.of_number(NUMBER).exists()

    def test_what_needs_a_missing_key_is_left_and_said(self, settings):
        CallScheduleFactory()
        older = turn(settings)
        settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
        readable = CallScheduleFactory()

        with pytest.raises(CommandError, match="1 values are damaged, or sealed with a key"):
            call_command("rotate_keys")

        settings.ENCRYPTION_KEYS = [*settings.ENCRYPTION_KEYS, *older]
        assert all(schedule.phone for schedule in CallSchedule.objects.all())
        assert behind(CallSchedule, "phone").exclude(pk=readable.pk).count() == 1
        assert not AuditEntry.objects.filter(verb="keys.rotate").exists()

    def test_a_change_that_comes_between_is_not_lost(self, settings, monkeypatch):
        schedule = CallScheduleFactory(phone=NUMBER)
        older = list(settings.ENCRYPTION_KEYS)
        turn(settings)
        unhurried = resealing._try

        def overtaken(move, values):
            newest, settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS, older
            CallSchedule.objects.update(phone="+4915100000000")  # by a process with old settings
            settings.ENCRYPTION_KEYS = newest
            return unhurried(move, values)

        monkeypatch.setattr(resealing, "_try", overtaken)

        with pytest.raises(CommandError, match="written with an older key meanwhile"):
            call_command("rotate_keys")

        schedule.refresh_from_db()
        assert schedule.phone == "+4915100000000"

    def test_it_is_done_again_where_nothing_is_left(self, settings, capsys):
        CallScheduleFactory()

        call_command("rotate_keys")

        assert "0 values to seal" in capsys.readouterr().out


@pytest.mark.django_db(transaction=True)
def test_a_rotation_that_was_killed_goes_on(settings):
    CallScheduleFactory.create_batch(300)
    turn(settings)
    rotation = rotate(settings, slow=True)
    wait_until(lambda: how_many_are_behind() < 300, what="some are sealed anew")
    rotation.kill()
    rotation.wait()
    left = how_many_are_behind()
    assert 0 < left < 300

    again = rotate(settings)

    assert again.wait(60) == 0
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    assert {schedule.phone for schedule in CallSchedule.objects.all()} == {"+15005550006"}


def rotate(settings, *, slow: bool = False) -> subprocess.Popen[bytes]:
    """The command in a process of its own, over this test's database."""
    code = "import django; django.setup(); from django.core.management import call_command; "
    if slow:
        code += "import time; from polaris.privacy import resealing as r; "
        code += "r.AT_ONCE = 5; kept = r._try; "
        code += "r._try = lambda *a: (time.sleep(0.02), kept(*a))[1]; "
    variables = os.environ | {
        "DJANGO_SETTINGS_MODULE": "polaris.settings",
        "ENV_FILE": os.devnull,
        "SECRET_KEY": of_the_suite.SECRET_KEY,
        **which_database(),
        "ENCRYPTION_KEYS": ",".join(settings.ENCRYPTION_KEYS),
        "LOOKUP_KEYS": ",".join(settings.LOOKUP_KEYS),
    }
    command = [sys.executable, "-c", f"{code}call_command('rotate_keys')"]
    return subprocess.Popen(command, cwd=HOME, env=variables, stdout=subprocess.DEVNULL)


@pytest.mark.django_db(transaction=True)
def test_a_rotation_and_a_writer_beside_it_lose_nothing(settings):
    schedules = CallScheduleFactory.create_batch(60)
    turn(settings)
    written = {}

    def write() -> None:
        for number, schedule in enumerate(schedules):
            phone = f"+49151000{number:05d}"
            CallSchedule.objects.filter(pk=schedule.pk).update(phone=phone)
            written[schedule.pk] = phone
        connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    call_command("rotate_keys")
    writer.join()
    call_command("rotate_keys")

    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    assert {row.pk: row.phone for row in CallSchedule.objects.all()} == written


@pytest.mark.django_db
class TestLookupKey:
    def test_numbers_are_found_before_during_and_after(self, settings):
        lookup_state.adopt()
        CallScheduleFactory(phone=NUMBER)
        settings.LOOKUP_KEYS = [new_key(), *settings.LOOKUP_KEYS]
        CallScheduleFactory(phone=NUMBER)
        during = CallSchedule.objects.of_number(NUMBER).count()

        call_command("rotate_lookup_key")

        settings.LOOKUP_KEYS = settings.LOOKUP_KEYS[:1]
        assert during == CallSchedule.objects.of_number(NUMBER).count() == 2
        lookup_state.require_current()

    def test_is_refused_while_a_runner_is_alive(self, settings):
        lookup_state.adopt()
        Runner.objects.create(host="here", process_id=1)
        settings.LOOKUP_KEYS = [new_key(), *settings.LOOKUP_KEYS]

        with pytest.raises(CommandError, match="stop every runner"):
            call_command("rotate_lookup_key")

        assert LookupState.objects.get().moving_to == ""

    def test_nobody_dials_while_some_rows_are_hashed_anew_and_others_not(
        self, settings, monkeypatch
    ):
        """The line is taken under the old key; a runner with the new one must not call again."""
        lookup_state.adopt()
        CallLogFactory(phone=NUMBER, status=CallLog.Status.RINGING)
        schedule = CallScheduleFactory(phone=NUMBER)
        ActiveScheduleFactory(schedule=schedule, lease="lease_1", status="pending")
        settings.LOOKUP_KEYS = [new_key(), *settings.LOOKUP_KEYS]
        monkeypatch.setattr(
            "polaris.privacy.lookup_rotation.hash_again",
            lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt),
        )
        with pytest.raises(KeyboardInterrupt):  # killed before its first row
            call_command("rotate_lookup_key")

        with pytest.raises(WrongLookupKey):
            open_claim("lease_1")
        with pytest.raises(ImproperlyConfigured, match="rotate_lookup_key"):
            dialling.prepare()

        assert CallLog.objects.count() == 1

    def test_who_still_has_the_old_key_dials_no_more(self, settings):
        lookup_state.adopt()
        old = list(settings.LOOKUP_KEYS)
        settings.LOOKUP_KEYS = [new_key(), *old]
        call_command("rotate_lookup_key")

        settings.LOOKUP_KEYS = old

        with pytest.raises(WrongLookupKey):
            lookup_state.require_current()

    def test_a_live_call_still_blocks_its_number_afterwards(self, settings):
        CallLogFactory(phone=NUMBER, status=CallLog.Status.RINGING)
        settings.LOOKUP_KEYS = [new_key(), *settings.LOOKUP_KEYS]

        call_command("rotate_lookup_key")

        on_the_line = CallLog.objects.of_number(NUMBER).on_the_line()
        assert on_the_line.get().phone_lookup == lookup_of(NUMBER)

    def test_does_not_end_while_a_number_cannot_be_read(self, settings):
        lookup_state.adopt()
        CallLogFactory(phone=NUMBER)
        keys = settings.ENCRYPTION_KEYS
        settings.ENCRYPTION_KEYS = [new_key()]
        settings.LOOKUP_KEYS = [new_key(), *settings.LOOKUP_KEYS]

        with pytest.raises(CommandError, match="2 numbers cannot be read"):
            call_command("rotate_lookup_key")
        with pytest.raises(WrongLookupKey):
            lookup_state.require_current()

        settings.ENCRYPTION_KEYS = keys
        call_command("rotate_lookup_key")
        lookup_state.require_current()

    def test_the_key_of_the_first_process_that_dials_becomes_the_rows_key(self, settings):
        lookup_state.adopt()
        settings.LOOKUP_KEYS = [new_key()]

        with pytest.raises(ImproperlyConfigured):
            lookup_state.adopt()
