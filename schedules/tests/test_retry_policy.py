"""retry_policy: what is taken and refused, and when the next attempt is due."""

from datetime import timedelta

import pytest

from schedules.retry_policy import InvalidRetryPolicy, normalise_retry_policy, parse_retry_policy

EXAMPLE = {"on": ["busy", "no_answer"], "attempts": 3, "delays": [60, 300]}


def test_a_policy_is_stored_in_a_fixed_order():
    stored = normalise_retry_policy(
        {"delays": [60], "on": ["machine", "no-answer", "busy"], "attempts": 2}
    )

    assert stored == {"on": ["busy", "no_answer", "machine"], "attempts": 2, "delays": [60]}
    assert normalise_retry_policy(stored) == stored


@pytest.mark.parametrize("nothing", [None, {}, {"on": None}])
def test_nothing_is_no_policy(nothing):
    assert normalise_retry_policy(nothing) is None
    assert parse_retry_policy(nothing) is None


def test_delays_follow_one_another_until_no_attempt_is_left():
    policy = parse_retry_policy(EXAMPLE)

    assert policy.on == {"busy", "no_answer"}
    assert [policy.delay_after(attempt) for attempt in (1, 2, 3, 4)] == [
        timedelta(seconds=60),
        timedelta(seconds=300),
        None,
        None,
    ]


def test_the_last_delay_repeats():
    policy = parse_retry_policy(EXAMPLE | {"attempts": 5})

    assert [policy.delay_after(attempt) for attempt in (3, 4)] == [timedelta(seconds=300)] * 2


@pytest.mark.parametrize(
    ("raw", "field", "issue"),
    [
        ([], "retry_policy", "Must be an object or null."),
        (3, "retry_policy", "Must be an object or null."),
        ({"attempts": 3, "delays": [60]}, "retry_policy.on", "Required"),
        ({"on": ["busy"], "delays": [60]}, "retry_policy.attempts", "Required"),
        ({"on": ["busy"], "attempts": 3}, "retry_policy.delays", "Required"),
        (EXAMPLE | {"on": []}, "retry_policy.on", "at least one of busy, no_answer"),
        (EXAMPLE | {"on": "busy"}, "retry_policy.on", "at least one of"),
        (EXAMPLE | {"on": ["engaged"]}, "retry_policy.on", "Each must be one of"),
        (EXAMPLE | {"on": [1]}, "retry_policy.on", "Each must be one of"),
        (EXAMPLE | {"on": [["busy"]]}, "retry_policy.on", "Each must be one of"),
        (
            EXAMPLE | {"on": ["no_answer", "no-answer"]},
            "retry_policy.on",
            "Names no_answer more than once.",
        ),
        (EXAMPLE | {"attempts": 1}, "retry_policy.attempts", "from 2 to 10"),
        (EXAMPLE | {"attempts": 11}, "retry_policy.attempts", "from 2 to 10"),
        (EXAMPLE | {"attempts": True}, "retry_policy.attempts", "from 2 to 10"),
        (EXAMPLE | {"attempts": 2.0}, "retry_policy.attempts", "from 2 to 10"),
        (EXAMPLE | {"delays": []}, "retry_policy.delays", "list of seconds"),
        (EXAMPLE | {"delays": 60}, "retry_policy.delays", "list of seconds"),
        (EXAMPLE | {"delays": [0]}, "retry_policy.delays", "from 1 to 86400"),
        (EXAMPLE | {"delays": [86401]}, "retry_policy.delays", "from 1 to 86400"),
        (EXAMPLE | {"delays": ["60"]}, "retry_policy.delays", "from 1 to 86400"),
        (EXAMPLE | {"delays": [True]}, "retry_policy.delays", "from 1 to 86400"),
        (EXAMPLE | {"delays": [1, 2, 3]}, "retry_policy.delays", "Has more than 2"),
        (EXAMPLE | {"delay": 60}, "retry_policy.delay", "did you mean delays?"),
        ({"\ud800": 1}, "retry_policy.\\ud800", "Unknown key"),
    ],
)
def test_a_refusal_names_the_key_and_says_what_would_be_right(raw, field, issue):
    with pytest.raises(InvalidRetryPolicy) as refused:
        parse_retry_policy(raw)

    assert refused.value.field == field
    assert issue in refused.value.issue
