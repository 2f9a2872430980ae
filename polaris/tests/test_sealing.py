"""What is sealed, how it is opened and found, and what a missing key does."""

import secrets

import pytest
from django.core.exceptions import FieldError
from django.db import IntegrityError, connection

from polaris.errors import Unreadable
from polaris.privacy.fields import sealed_value
from polaris.privacy.sealing import is_sealed, lookup_of, lookups_of, seal, unseal
from schedules.models import CallSchedule
from schedules.tests.factories import CallScheduleFactory
from tracking.models import CallLog
from tracking.tests.factories import CallLogFactory, NotificationFactory
from webhooks.models import WebhookEvent

NUMBER = "+4915112345678"


def new_key() -> str:
    return secrets.token_urlsafe(32)


def stored(table: str, column: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table}")  # noqa: S608 (names of ours)
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize("text", [NUMBER, "é" * 500, "enc1.00000000.x", '{"a": 1}', "\n"])
def test_what_was_sealed_is_opened_again(text):
    sealed = seal(text)

    assert is_sealed(sealed)
    assert text not in sealed
    assert unseal(sealed) == text


def test_equal_texts_are_sealed_differently_and_looked_up_alike():
    assert seal(NUMBER) != seal(NUMBER)
    assert lookup_of(NUMBER) == lookup_of(NUMBER) != lookup_of("+4915112345679")


def test_nothing_stays_nothing():
    assert (seal(""), unseal(""), lookup_of(""), lookups_of("")) == ("", "", "", [])


def test_a_lookup_cannot_be_made_without_its_key(settings):
    before = lookup_of(NUMBER)
    settings.LOOKUP_KEYS = [new_key()]

    assert lookup_of(NUMBER) != before


def test_an_older_key_still_opens_and_the_newest_seals(settings):
    old = seal(NUMBER)
    settings.ENCRYPTION_KEYS = [new_key(), *settings.ENCRYPTION_KEYS]

    assert unseal(old) == NUMBER
    assert unseal(seal(NUMBER)) == NUMBER
    assert seal(NUMBER)[:13] != old[:13]


def test_a_missing_key_is_an_error_and_never_another_text(settings):
    sealed = seal(NUMBER)
    settings.ENCRYPTION_KEYS = [new_key()]

    with pytest.raises(Unreadable, match="not in ENCRYPTION_KEYS"):
        unseal(sealed)


@pytest.mark.parametrize("spoil", [lambda s: s[:-4], lambda s: s[:-2] + "AA", lambda s: s[:15]])
def test_what_is_damaged_is_an_error(spoil):
    with pytest.raises(Unreadable, match="damaged"):
        unseal(spoil(seal(NUMBER)))


@pytest.mark.django_db
class TestFields:
    @pytest.mark.parametrize(
        ("make", "table", "column"),
        [
            (lambda: CallScheduleFactory(phone=NUMBER), "call_schedules", "phone"),
            (lambda: CallScheduleFactory(notes=NUMBER), "call_schedules", "notes"),
            (lambda: CallLogFactory(phone=NUMBER), "call_logs", "phone"),
            (lambda: CallLogFactory(notes=NUMBER), "call_logs", "notes"),
            (lambda: NotificationFactory(payload={"a": NUMBER}), "notifications", "payload"),
            (
                lambda: WebhookEvent.objects.create(payload={"To": NUMBER}),
                "webhook_events",
                "payload",
            ),
        ],
    )
    def test_python_sees_what_the_column_does_not(self, make, table, column):
        row = make()

        row.refresh_from_db()
        assert NUMBER in str(getattr(row, column))
        assert is_sealed(stored(table, column))

    def test_a_row_is_found_by_its_whole_number(self):
        schedule, _ = CallScheduleFactory(phone=NUMBER), CallScheduleFactory()

        assert list(CallSchedule.objects.of_number(NUMBER)) == [schedule]

    def test_an_update_brings_the_lookup_with_it(self):
        CallScheduleFactory()

        CallSchedule.objects.update(phone=NUMBER)

        assert CallSchedule.objects.of_number(NUMBER).get().phone == NUMBER

    @pytest.mark.parametrize("look_up", ["phone", "phone__in", "phone__contains", "phone__gt"])
    def test_what_would_find_nothing_is_refused(self, look_up):
        with pytest.raises(FieldError, match="looked up by its hash"):
            CallSchedule.objects.filter(**{look_up: NUMBER}).count()

    def test_reading_rows_opens_none(self, settings):
        CallScheduleFactory.create_batch(2)
        settings.ENCRYPTION_KEYS = [new_key()]

        schedules = list(CallSchedule.objects.all())
        for schedule in schedules:
            schedule.refresh_from_db()

        with pytest.raises(Unreadable):
            schedules[0].phone  # noqa: B018 (looking at it is the point)

    def test_a_deferred_number_is_read_when_it_is_asked_for(self):
        CallScheduleFactory(phone=NUMBER)

        assert CallSchedule.objects.only("status").get().phone == NUMBER

    def test_a_row_that_is_saved_unopened_keeps_its_very_text(self, settings):
        CallScheduleFactory(phone=NUMBER, notes="a note")
        before = stored("call_schedules", "phone")
        settings.ENCRYPTION_KEYS = [new_key(), *settings.ENCRYPTION_KEYS]

        CallSchedule.objects.get().save()

        assert stored("call_schedules", "phone") == before
        assert CallSchedule.objects.of_number(NUMBER).exists()

    def test_a_payload_that_is_changed_in_place_is_saved_so(self):
        NotificationFactory(payload={"a": 1})
        message = NotificationFactory._meta.model.objects.get()

        message.payload["a"] = 2
        message.save()

        message.refresh_from_db()
        assert message.payload == {"a": 2}

    def test_a_number_is_copied_without_being_opened(self, settings):
        schedule = CallScheduleFactory(phone=NUMBER)
        schedule.refresh_from_db()
        settings.ENCRYPTION_KEYS = [new_key()]

        log = CallLogFactory(
            schedule=schedule,
            phone=sealed_value(schedule, "phone"),
            phone_lookup=schedule.phone_lookup,
        )

        assert log.phone_lookup == lookup_of(NUMBER)
        assert stored("call_logs", "phone") == stored("call_schedules", "phone")

    @pytest.mark.parametrize("newest", ["old", "new"])
    def test_one_number_has_one_live_call_whatever_key_seals_it(self, settings, newest):
        old, new = settings.ENCRYPTION_KEYS[0], new_key()
        CallLogFactory(phone=NUMBER, status=CallLog.Status.RINGING)
        settings.ENCRYPTION_KEYS = [new, old] if newest == "new" else [old, new]

        with pytest.raises(IntegrityError):
            CallLogFactory(phone=NUMBER, status=CallLog.Status.PENDING)
