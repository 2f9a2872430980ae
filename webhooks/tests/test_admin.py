"""The operators' pages about webhooks."""

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tracking.tests.factories import CallLogFactory
from webhooks.models import WebhookEvent

pytestmark = pytest.mark.django_db

LIST = "admin:webhooks_webhookevent_changelist"


def received(**fields) -> WebhookEvent:
    number = WebhookEvent.objects.count()
    fields = {"call_id": "CA1", "call_status": "ringing"} | fields
    return WebhookEvent.objects.create(fingerprint=f"webhook {number}", **fields)


def page(row) -> str:
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return reverse(name, args=[quote(row.pk)])


def test_the_payload_is_shown_key_by_key_and_its_log_is_linked(desk):
    log = CallLogFactory(call_id="CA1")
    event = received(payload={"To": "+15005550006", "CallStatus": "ringing"})

    html = desk.get(page(event)).content.decode()

    assert "&quot;To&quot;: &quot;+1••••••0006&quot;" in html
    assert page(log) in html


def test_who_may_only_view_sees_the_numbers_in_it_masked(db):
    user = User.objects.create_user("somebody", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_webhookevent"))
    client = Client()
    client.force_login(user)
    event = received(payload={"To": "+15005550006", "Caller": "sip:+15005550001@example.com"})

    html = client.get(page(event)).content.decode()

    assert "+1••••••0006" in html
    assert "+15005550006" not in html
    assert "+15005550001" not in html


@pytest.mark.parametrize("outcome", list(WebhookEvent.Outcome))
def test_every_outcome_has_its_badge(desk, outcome):
    received(outcome=outcome)

    assert f"\n{outcome.label}\n" in desk.get(reverse(LIST)).content.decode()


def test_nobody_edits_one(desk):
    event = received()

    assert desk.post(page(event), {"outcome": "applied"}).status_code == 403
    assert desk.get(reverse("admin:webhooks_webhookevent_add")).status_code == 403


def test_a_call_shows_its_webhooks_by_attempt_and_by_sid_and_no_others(desk):
    log = CallLogFactory(call_id="CA1")
    by_sid = received(call_id="CA1")
    by_attempt = received(call_id="CA2", attempt_id=log.pk, outcome="conflict")
    other = received(call_id="CA3")

    html = desk.get(page(log)).content.decode()

    assert page(by_sid) in html
    assert page(by_attempt) in html
    assert page(other) not in html


def test_a_call_without_a_sid_shows_no_webhooks_of_others(desk):
    log = CallLogFactory(call_id="")
    other = received()

    assert page(other) not in desk.get(page(log)).content.decode()
