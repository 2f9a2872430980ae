"""Whole numbers are shown one at a time, to who holds the right, after a POST that is recorded."""

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from polaris.audit.models import AuditEntry
from polaris.privacy import reveal
from schedules.tests.factories import CallScheduleFactory
from tracking.tests.factories import CallLogFactory, NotificationFactory
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db

NUMBER = "+4915112345678"
MASKED = "+4••••••••5678"


def webhook():
    return WebhookEvent.objects.create(payload={"To": NUMBER, "Called": NUMBER[1:]})


ROWS = [lambda: CallScheduleFactory(phone=NUMBER), lambda: CallLogFactory(phone=NUMBER), webhook]
IDS = ["schedule", "log", "webhook"]


def page(row, name: str = "change") -> str:
    label = f"{row._meta.app_label}_{row._meta.model_name}"
    return reverse(f"admin:{label}_{name}", args=[row.pk])


def signed_in(*codenames: str) -> Client:
    user = User.objects.create_user("somebody", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("make", ROWS, ids=IDS)
def test_pages_mask_even_for_who_may_do_everything(desk, make):
    row = make()

    html = desk.get(page(row)).content.decode()
    listed = desk.get(reverse(f"admin:{row._meta.label_lower.replace('.', '_')}_changelist"))

    assert MASKED in html
    assert NUMBER[1:] not in html
    assert NUMBER[1:] not in listed.content.decode()


@pytest.mark.parametrize("make", ROWS, ids=IDS)
def test_a_get_asks_and_a_post_shows_and_is_recorded(desk, make):
    row = make()
    path = f"{page(row).removesuffix('change/')}reveal/"

    asked = desk.get(path)
    recorded_by_asking = AuditEntry.objects.filter(verb="phone.reveal").count()
    shown = desk.post(path)

    assert NUMBER not in asked.content.decode()
    assert recorded_by_asking == 0
    assert NUMBER in shown.content.decode()
    assert "no-store" in shown.headers["Cache-Control"]
    entry = AuditEntry.objects.get(verb="phone.reveal")
    assert (entry.object_id, entry.actor_name) == (row.pk, "operator")
    assert entry.request_id
    assert NUMBER not in entry.changes + entry.reason


@pytest.mark.parametrize("make", ROWS, ids=IDS)
def test_nothing_is_shown_where_it_cannot_be_recorded(desk, make, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("the audit cannot be written")

    monkeypatch.setattr("polaris.admin_numbers.record_reveal", fail)
    row = make()

    with pytest.raises(RuntimeError):
        desk.post(f"{page(row).removesuffix('change/')}reveal/")


@pytest.mark.parametrize("make", ROWS, ids=IDS)
def test_needs_the_right_of_its_own(make):
    row = make()
    model = row._meta.model_name
    client = signed_in(f"view_{model}", f"change_{model}")
    path = f"{page(row).removesuffix('change/')}reveal/"

    assert client.post(path).status_code == 403
    assert "Reveal the number" not in client.get(page(row)).content.decode()


def test_the_right_alone_opens_no_page():
    client = signed_in("reveal_numbers")
    schedule = CallScheduleFactory(phone=NUMBER)

    answer = client.post(f"{page(schedule).removesuffix('change/')}reveal/")

    assert NUMBER not in answer.content.decode()
    assert answer.status_code in {403, 404}


def test_the_right_is_one_that_can_be_given():
    assert Permission.objects.filter(codename=reveal.PERMISSION.partition(".")[2]).exists()


def test_a_name_that_holds_a_number_is_masked_in_lists_and_histories(desk):
    schedule = CallScheduleFactory(description=f"call {NUMBER}")

    assert str(schedule) == f"call {MASKED}"
    listed = desk.get(reverse("admin:schedules_callschedule_changelist")).content.decode()
    assert NUMBER not in listed


def test_a_notification_shows_no_number(desk):
    message = NotificationFactory(payload={"error_message": f"{NUMBER} is busy"})

    html = desk.get(page(message)).content.decode()

    assert MASKED in html
    assert NUMBER not in html
