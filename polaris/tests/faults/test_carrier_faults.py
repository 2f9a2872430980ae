"""Whatever the carrier answers, or fails to: docs/carrier.md says what each ending does."""

from datetime import datetime, timedelta

import pytest
from django.db.models import F

from polaris.tests.faults.engine import (
    PATIENCE,
    Engine,
    arranged,
    arranged_together,
    comes_to_rest,
    let_silence_pass,
    moment,
)
from polaris.tests.faults.evidence import (
    check_exactly_once,
    check_nothing_lost,
    creates,
    story,
)
from polaris.tests.stack import wait_until
from schedules import gate, services
from schedules.models import ActiveSchedule, CallSchedule
from tracking.models import CallLog, Notification

pytestmark = pytest.mark.faults

NOT_PLACED = ("failed", "not_placed")
COMPLETED = ("completed", "")

# By ending: what becomes of each attempt.
ENDINGS = {
    "99": [COMPLETED],
    "14": [COMPLETED],  # 429 twice: refused for now, asked again
    "15": [COMPLETED],  # 500, though it was accepted
    "16": [NOT_PLACED, NOT_PLACED],  # 503, and not accepted: looked up, dialled again, too late
    "17": [COMPLETED],  # accepted, answered after the time-out
    "18": [COMPLETED],  # accepted, then cut off
    "19": [COMPLETED],  # half an answer
    "20": [COMPLETED],  # no webhooks: asked for
    "21": [COMPLETED],  # webhooks out of order
    "22": [COMPLETED],  # webhooks twice
    "23": [COMPLETED],  # webhooks before the answer
    "24": [NOT_PLACED, NOT_PLACED],  # cut off before it was accepted
    "25": [("failed", "10004")],  # too many calls at a time, for ever
    "27": [COMPLETED],  # cut off and no webhooks: found by a look-up
    "01": [("busy", "busy")],
    "11": [("failed", "21211")],  # refused for good
}


def test_every_fault_of_the_carrier_ends_in_one_call_or_in_a_reason(engine: Engine, client_of_web):
    schedules = arranged_together(ENDINGS)

    for _ in range(2):
        engine.start_without_waiting(SCHEDULER_MISFIRE_GRACE_TIME="20")
    comes_to_rest(let_silence_pass)

    told = dict(zip(ENDINGS, map(story, schedules), strict=True))
    assert told == ENDINGS
    check_exactly_once(engine.carrier)
    check_nothing_lost(schedules)
    said = CallLog.objects.filter(error_code="not_placed").values_list("error_message", flat=True)
    assert sorted(said) == sorted(
        [
            "The carrier never took this call. It is dialled again.",
            "The carrier never took this call. It is too late to dial it again.",
        ]
        * 2
    )


@pytest.mark.parametrize("carrier", [{"speed": 2.0}], indirect=True)
def test_a_list_that_lags_behind_is_not_taken_for_a_proof(engine: Engine):
    """The call is in the list 7.5 s after it was placed; the first look-up comes before."""
    schedule = arranged("27")

    engine.start_runner()
    comes_to_rest(let_silence_pass)

    assert story(schedule) == [COMPLETED]
    assert engine.carrier.accepted() == 1
    check_exactly_once(engine.carrier)


@pytest.mark.parametrize("carrier", [{"speed": 2.0}], indirect=True)
def test_a_list_that_lags_is_no_proof_after_refusals_either(engine: Engine):
    """The waiting time counts from the create in doubt, not from the first that was refused."""
    schedule = arranged("27")
    url = engine.carrier.url
    nobody = "http://127.0.0.1:9"  # refuses connections: nothing is sent
    runner = engine.start_runner(TWILIO_API_BASE_URL=nobody)
    refused = ActiveSchedule.objects.filter(asked__gte=3)
    wait_until(refused.exists, what="it has been refused for some seconds", patience=PATIENCE)
    runner.terminate()
    runner.wait(PATIENCE)
    a_minute = timedelta(seconds=60)
    CallLog.objects.update(timestamp=F("timestamp") - a_minute)  # as if it had lasted longer

    engine.start_runner(TWILIO_API_BASE_URL=url)
    comes_to_rest(let_silence_pass)

    assert engine.carrier.accepted() == 1
    assert story(schedule) == [COMPLETED]
    check_exactly_once(engine.carrier)


def test_what_is_refused_for_now_waits_between_its_attempts(engine: Engine, client_of_web):
    """429 with Retry-After: 1, twice."""
    schedule = arranged("14")

    engine.start_runner()
    comes_to_rest()

    (log,) = CallLog.objects.filter(schedule=schedule)
    (call,) = engine.carrier.calls()
    waited = datetime.fromisoformat(call["created_at"]) - log.due_at
    assert waited.total_seconds() >= 2
    assert log.error_message == ""


# -- the circuit ---------------------------------------------------------------------------------


def is_closed() -> bool:
    return gate.current().closed_since is not None


def events() -> set[str]:
    return set(Notification.objects.values_list("event", flat=True))


ANNOUNCES = {"NOTIFY_EVENTS": "dialling.*", "NOTIFY_EMAIL_TO": "desk@polaris.example"}


def test_refused_credentials_pause_dialling_and_a_probe_resumes_it(engine: Engine, client_of_web):
    for _ in range(2):
        engine.start_runner(DIALLING_PROBE_SECONDS="6", **ANNOUNCES)
    refused = arranged("13")
    wait_until(is_closed, what="dialling is paused", patience=PATIENCE)
    assert "20003" in gate.current().reason
    assert story(refused) == [("deferred", "20003")]
    services.cancel(refused)

    waiting = arranged_together(["99"] * 12)
    wait_until(lambda: events() == {"dialling.paused"}, what="it is announced", patience=PATIENCE)
    is_early = gate.current().probe_at > moment(0.5)
    assert not is_early or ActiveSchedule.objects.count() == len(waiting)  # none is burnt
    comes_to_rest()

    assert not is_closed()
    assert [story(schedule) for schedule in waiting] == [[COMPLETED]] * len(waiting)
    assert story(refused) == [("cancelled", "not_wanted")]
    wait_until(lambda: "dialling.resumed" in events(), what="so is the end", patience=PATIENCE)
    check_exactly_once(engine.carrier)


def test_a_call_that_the_account_may_not_make_pauses_dialling_until_another_is_taken(
    engine: Engine, client_of_web
):
    engine.start_runner(**ANNOUNCES)
    refused = arranged("12")
    wait_until(is_closed, what="dialling is paused", patience=PATIENCE)

    allowed = arranged()
    comes_to_rest()

    assert not is_closed()
    assert story(refused) == [("failed", "21215")]
    assert story(allowed) == [COMPLETED]


def test_who_dies_while_probing_does_not_keep_dialling_paused(
    engine: Engine, client_of_web, settings
):
    settings.DIALLING_PROBE_SECONDS = 0.5  # of who closes the gate: this process
    gate.close("Twilio 20003: the account is refused")
    first, *others = [arranged(at=moment(-9)), arranged(), arranged()]
    engine.run_until_dead("before the carrier is asked")
    assert is_closed()

    engine.start_runner()
    comes_to_rest()

    assert not is_closed()
    assert story(first) == [NOT_PLACED, COMPLETED]
    assert [story(schedule) for schedule in others] == [[COMPLETED]] * 2
    check_exactly_once(engine.carrier)


def test_an_operator_pauses_and_resumes_dialling(engine: Engine, client_of_web):
    """What waits is not dialled, nor is a probe made; what waits too long is missed."""
    gate.close("The number is being moved.", by="operator")
    for _ in range(2):
        engine.start_runner()
    too_late = arranged(at=moment(-400))
    waiting = arranged_together(["99"] * 5)
    wait_until(
        lambda: story(too_late) == [("missed", "missed")], what="one is missed", patience=PATIENCE
    )
    assert engine.carrier.accepted() == 0
    assert ActiveSchedule.objects.count() == len(waiting)

    assert gate.reopen(by="operator")
    comes_to_rest()

    assert [story(schedule) for schedule in waiting] == [[COMPLETED]] * len(waiting)
    assert set(creates(engine.carrier)) == set(
        CallLog.objects.exclude(schedule=too_late).values_list("pk", flat=True)
    )
    assert CallSchedule.objects.get(pk=too_late.pk).status == "failed"
