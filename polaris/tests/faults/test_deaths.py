"""`kill -9` at every step of a call's way: one accepted create, and nothing lost."""

import pytest

from polaris.tests.faults.engine import (
    PATIENCE,
    Engine,
    arranged,
    comes_to_rest,
    kill,
    let_checks_come_due,
    let_leases_run_out,
    let_silence_pass,
    number,
)
from polaris.tests.faults.evidence import (
    check_exactly_once,
    check_nothing_lost,
    story,
)
from polaris.tests.stack import wait_until
from schedules import gate
from schedules.models import CallSchedule
from tracking.models import CallLog

pytestmark = pytest.mark.faults

DIALLED = [("completed", "")]
DIALLED_AGAIN = [("failed", "not_placed"), ("completed", "")]
NEVER_TAKEN = [("failed", "not_placed"), ("failed", "21211")]
# Those who die keep what they hold while others die, so that each dies with a call of its own.
HOLDS_LONG = {"SCHEDULER_LEASE_SECONDS": "600"}


def deaths(engine: Engine, steps: list[str], ending: str = "99") -> dict[str, CallSchedule]:
    """A call for each step, held by a runner that died there."""
    victims = {}
    for step in steps:
        victims[step] = arranged(ending)
        engine.run_until_dead(step, **HOLDS_LONG)
    return victims


def outcomes(victims: dict[str, CallSchedule]) -> dict[str, list[tuple[str, str]]]:
    return {step: story(schedule) for step, schedule in victims.items()}


def rescue(engine: Engine, victims: dict[str, CallSchedule], runners: int = 2) -> None:
    """Time passes, and other runners finish the work."""
    let_leases_run_out()
    for _ in range(runners):
        engine.start_runner()
    comes_to_rest(let_silence_pass)
    check_exactly_once(engine.carrier)
    check_nothing_lost(victims.values())


def test_who_dies_before_the_ledger_is_open_has_not_dialled(engine: Engine, client_of_web):
    """What has no ledger row was never asked for: the next runner just dials it."""
    steps = [
        "before the claim",
        "within the claim",
        "after the claim",
        "within the opening of the ledger",
    ]
    victims = deaths(engine, steps)

    assert not CallLog.objects.exists()
    rescue(engine, victims)
    assert outcomes(victims) == dict.fromkeys(steps, DIALLED)
    assert engine.carrier.accepted() == len(steps)


def test_who_dies_with_the_ledger_open_may_have_dialled(engine: Engine, client_of_web):
    """The carrier is asked whether it has the call; only when it has not, it is dialled again."""
    steps = [
        "after the opening of the ledger",
        "before the carrier is asked",
        "before the create is sent",
    ]
    victims = deaths(engine, steps)

    assert engine.carrier.accepted() == 0
    rescue(engine, victims)
    assert outcomes(victims) == dict.fromkeys(steps, DIALLED_AGAIN)
    assert engine.carrier.accepted() == len(steps)


def test_the_call_of_a_dead_runner_does_not_keep_the_only_place(engine: Engine, client_of_web):
    """It counts as live until it is taken over, and that takes no place."""
    one = {"MAX_CONCURRENT_CALLS": "1"}
    first = arranged()
    engine.run_until_dead("after the opening of the ledger", **HOLDS_LONG, **one)
    second = arranged()

    let_leases_run_out()
    engine.start_runner(**one)
    comes_to_rest()

    assert (story(first), story(second)) == (DIALLED_AGAIN, DIALLED)
    check_exactly_once(engine.carrier)


def test_what_a_dead_runner_left_is_found_out_though_dialling_is_paused(
    engine: Engine, client_of_web
):
    schedule = arranged()
    engine.run_until_dead("after the opening of the ledger", **HOLDS_LONG)
    gate.close("A fire drill.", by="operator")

    let_leases_run_out()
    engine.start_runner()
    wait_until(
        lambda: story(schedule) == DIALLED_AGAIN[:1], what="it is found out", patience=PATIENCE
    )
    assert engine.carrier.accepted() == 0
    gate.reopen(by="operator")
    comes_to_rest()

    assert story(schedule) == DIALLED_AGAIN


def test_who_dies_before_a_refusal_is_written_has_not_dialled_either(engine: Engine):
    steps = ["before a refusal is written", "before a refusal is settled"]
    victims = deaths(engine, steps, "11")

    rescue(engine, victims)
    assert outcomes(victims) == dict.fromkeys(steps, NEVER_TAKEN)
    assert engine.carrier.accepted() == 0


AFTER_THE_ANSWER = [
    "after the answer",
    "before the answer is written",
    "within the writing of the answer",
    "after the answer is written",
]


def test_who_dies_with_the_answer_is_told_by_webhooks(engine: Engine, client_of_web):
    victims = deaths(engine, AFTER_THE_ANSWER)

    rescue(engine, victims)
    assert outcomes(victims) == dict.fromkeys(AFTER_THE_ANSWER, DIALLED)
    assert engine.carrier.accepted() == len(victims)


def test_who_dies_with_the_answer_is_told_by_a_look_up_without_webhooks(engine: Engine):
    """Ending 20 posts none, and nobody would hear them."""
    victims = deaths(engine, AFTER_THE_ANSWER, "20")

    rescue(engine, victims)
    assert outcomes(victims) == dict.fromkeys(AFTER_THE_ANSWER, DIALLED)
    assert engine.carrier.accepted() == len(victims)


def test_who_dies_during_the_post_leaves_it_to_webhooks_or_a_look_up(engine: Engine):
    """Killed while the carrier holds its answer back, with webhooks unheard."""
    runner = engine.start_runner(**HOLDS_LONG, TWILIO_READ_TIMEOUT="60")
    schedule = arranged("17")
    wait_until(engine.carrier.accepted, what="the carrier has the call", patience=PATIENCE)

    kill(runner)

    rescue(engine, {"during the POST": schedule})
    assert story(schedule) == DIALLED
    assert engine.carrier.accepted() == 1


def test_who_dies_while_looking_up_leaves_it_to_the_next(engine: Engine):
    """Of two calls in doubt the carrier has one; runners die at each step of finding out."""
    (lost,) = deaths(engine, ["before a refusal is written"], "24").values()
    (placed,) = deaths(engine, ["after the answer"], "20").values()
    let_leases_run_out()
    gate.close("None of them dials again before it dies.", by="operator")
    finding, not_finding = {"UNKNOWN_LOOKUP_SECONDS": "600"}, {"UNKNOWN_LOOKUP_SECONDS": "5"}
    for step, patience in {
        "within a look-up": finding,
        "before what was found is bound": finding,
        "before the proof of absence is written": not_finding,
        "within the proof of absence": not_finding,
        "after the proof of absence": not_finding,
    }.items():
        dying = engine.start_dying(step, **HOLDS_LONG, **patience)
        wait_until(
            lambda dying=dying: let_checks_come_due() or dying.poll() is not None,
            what=f"a runner dies {step}",
            patience=PATIENCE,
        )
        engine.wait_for_death(dying)
    gate.reopen(by="operator")
    CallSchedule.objects.filter(pk=lost.pk).update(phone=number())  # a working one
    let_leases_run_out()
    let_checks_come_due()
    engine.start_runner()
    comes_to_rest(let_silence_pass)

    assert story(placed) == DIALLED
    assert story(lost) == DIALLED_AGAIN
    check_exactly_once(engine.carrier)
