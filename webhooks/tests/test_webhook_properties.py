"""Whatever comes in as a webhook is taken or refused; nothing of it is a failure of ours."""

import pytest
from django.conf import settings
from django.http import QueryDict
from django.test import Client
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator

from polaris.errors import WebhookNotSigned, WebhookUnusable
from tracking.carriers.base import CallReport
from tracking.models import CallLog
from webhooks.models import WebhookEvent
from webhooks.signatures import check_signature
from webhooks.translation import to_report

FORM = "application/x-www-form-urlencoded"
ours = examples(deadline=None, suppress_health_check=list(HealthCheck))

NAMES = st.sampled_from(
    ["CallSid", "CallStatus", "Timestamp", "SequenceNumber", "CallDuration", "AnsweredBy", "To",
     "From", "Direction", "SipResponseCode", "AccountSid", "CallbackSource"]
)  # fmt: skip
VALUES = st.text(max_size=40) | st.sampled_from(
    ["CA" + "0" * 32, "completed", "ringing", "in-progress", "Thu, 15 Jan 2026 12:00:00 +0000",
     "7", "-1", "99999999999", "inbound", "+15005550006", "\0", "\N{TELEPHONE RECEIVER}"]
)  # fmt: skip


def as_form(pairs):
    fields = QueryDict(mutable=True)
    for name, value in pairs:
        fields.appendlist(name, value)
    return fields


FIELDS = st.lists(st.tuples(NAMES | st.text(max_size=10), VALUES), max_size=12).map(as_form)


@given(FIELDS, st.text(max_size=50))
def test_any_fields_are_a_report_or_are_refused(fields, attempt_id):
    try:
        report = to_report(fields, attempt_id=attempt_id)
    except WebhookUnusable:
        return

    assert report is None or isinstance(report, CallReport)


@given(FIELDS, st.text(max_size=60), st.text(max_size=60))
def test_no_signature_that_is_made_up_counts(fields, query, signature):
    with pytest.raises(WebhookNotSigned):
        check_signature(query=query, fields=fields, signature=signature)


@given(FIELDS)
@ours
@pytest.mark.django_db
def test_any_signed_body_is_taken_or_refused_by_name(fields):
    fields["AccountSid"] = settings.TWILIO_ACCOUNT_SID
    body = fields.urlencode()
    validator = RequestValidator(settings.TWILIO_AUTH_TOKEN)
    signature = validator.compute_signature(settings.TWILIO_WEBHOOK_URL, QueryDict(body))

    answer = Client().post(
        "/webhook/call-status", body, FORM, headers={"X-Twilio-Signature": signature}
    )

    assert answer.status_code in {204, 400}
    if answer.status_code == 400:
        assert answer.json()["error_code"] in {"WEBHOOK_002", "WEBHOOK_003"}


@given(st.binary(max_size=300), st.binary(max_size=40))
@ours
@pytest.mark.django_db
def test_any_bytes_without_a_signature_are_refused_and_leave_nothing(body, signature):
    answer = Client().generic(
        "POST",
        "/webhook/call-status",
        body,
        FORM,
        headers={"X-Twilio-Signature": signature.decode("latin-1")},
    )

    assert answer.status_code == 403
    assert not WebhookEvent.objects.exists()
    assert not CallLog.objects.exists()
