"""calling_window, retry_policy and overlap of a schedule, through the API."""

from datetime import UTC, datetime

import pytest
import time_machine

from schedules.models import ActiveSchedule, CallSchedule, Pause

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_winter")]

NEW_YORKER = "+12125551234"
MOBILE_OF_RUSSIA = "+79161234567"
FREE_NUMBER = "+18005551234"
DAYTIME = {"start": "08:00", "end": "21:00"}
BY_NUMBER = DAYTIME | {"zone": "number"}
STORED = {
    "days": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    "zone": "schedule",
} | DAYTIME
RETRIES = {"on": ["busy", "no_answer"], "attempts": 3, "delays": [60, 300]}
HOURLY = {"enabled": True, "frequency": "hourly"}


@pytest.fixture
def _winter():
    with time_machine.travel(datetime(2026, 1, 10, 9, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def create(api):
    """Schedules a call on 15 January at 15:00 UTC, 10:00 in New York."""

    def send(**changes):
        body = {"phone": NEW_YORKER, "scheduled_time": "2026-01-15T15:00:00Z", "timezone": "UTC"}
        return api.post("/schedule/", body | changes, format="json")

    return send


@pytest.fixture
def made(create):
    """Schedules a call, and gives its path."""

    def send(**changes):
        answer = create(**changes)
        assert answer.status_code == 200, answer.content
        return f"/schedule/{answer.json()['schedule_id']}"

    return send


def refusal(answer):
    assert answer.status_code == 400, answer.content
    body = answer.json()
    return body["error_code"], body["details"]["field"], body["details"]["issue"]


def armed_at():
    return ActiveSchedule.objects.get().next_execution


# -- creating ----------------------------------------------------------------------------------
def test_what_is_sent_is_stored_and_shown_in_full(api, made):
    path = made(
        calling_window=DAYTIME,
        retry_policy=RETRIES | {"on": ["no-answer", "busy"]},
        overlap="wait",
    )

    shown = api.get(path).json()

    assert shown["calling_window"] == STORED
    assert shown["retry_policy"] == RETRIES
    assert shown["overlap"] == "wait"


@pytest.mark.parametrize("nothing", [{}, {"calling_window": None, "retry_policy": None}])
@pytest.mark.parametrize("overlap", [{}, {"overlap": None}])
def test_nothing_of_them_is_needed(api, made, nothing, overlap):
    shown = api.get(made(**nothing, **overlap)).json()

    assert (shown["calling_window"], shown["retry_policy"]) == (None, None)
    assert shown["overlap"] == "skip"


@pytest.mark.parametrize(
    ("sent", "code", "field"),
    [
        ({"calling_window": "08:00-21:00"}, "SCHEDULE_009", "calling_window"),
        ({"calling_window": DAYTIME | {"end": "9"}}, "SCHEDULE_009", "calling_window.end"),
        ({"calling_window": DAYTIME | {"from": "9"}}, "SCHEDULE_009", "calling_window.from"),
        ({"retry_policy": []}, "SCHEDULE_010", "retry_policy"),
        ({"retry_policy": RETRIES | {"attempts": 11}}, "SCHEDULE_010", "retry_policy.attempts"),
        ({"retry_policy": RETRIES | {"every": 11}}, "SCHEDULE_010", "retry_policy.every"),
        ({"overlap": "queue"}, "SCHEDULE_007", "overlap"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(create, sent, code, field):
    assert refusal(create(**sent))[:2] == (code, field)
    assert not CallSchedule.objects.exists()


def test_a_one_time_call_outside_its_window_is_refused_with_the_next_opening(create):
    code, field, issue = refusal(
        create(
            scheduled_time="2026-01-15T05:00:00Z",
            timezone="America/New_York",
            calling_window=DAYTIME,
        )
    )

    assert (code, field) == ("SCHEDULE_009", "scheduled_time")
    assert issue == (
        "It is outside the calling window, 08:00 to 21:00 every day, on the schedule's clock. "
        "It opens next on 2026-01-15 at 08:00 America/New_York (2026-01-15T13:00:00Z)."
    )


@pytest.mark.parametrize(
    ("zone", "at", "is_taken"),
    [
        ("schedule", "12:59", True),
        ("number", "12:59", False),  # 07:59 in New York
        ("number", "13:00", True),
        ("Asia/Tokyo", "12:00", False),  # 21:00 in Tokyo
        ("Asia/Tokyo", "11:59", True),
    ],
)
def test_the_window_is_read_on_the_clock_it_names(create, zone, at, is_taken):
    answer = create(scheduled_time=f"2026-01-15T{at}:00Z", calling_window=DAYTIME | {"zone": zone})

    assert (answer.status_code == 200) is is_taken


def test_a_number_in_many_zones_is_called_when_it_is_day_in_all_of_them(create):
    # From Bucharest (+2) to Anadyr (+12): 08:00 to 21:00 is 06:00 to 09:00 UTC.
    answers = [
        create(
            phone=MOBILE_OF_RUSSIA,
            scheduled_time=f"2026-01-15T{at}:00Z",
            calling_window=BY_NUMBER,
        )
        for at in ("05:59", "06:00", "08:59", "09:00")
    ]

    assert [answer.status_code for answer in answers] == [400, 200, 200, 400]


@pytest.mark.parametrize("repeat_config", [None, HOURLY])
def test_zones_that_are_never_open_at_once_are_refused(create, repeat_config):
    code, field, issue = refusal(
        create(
            phone=FREE_NUMBER,
            calling_window={"start": "09:00", "end": "17:00", "zone": "number"},
            repeat_config=repeat_config,
        )
    )

    assert (code, field) == ("SCHEDULE_009", "calling_window.zone")
    assert "never open in all of them at once" in issue


def test_a_number_that_nobody_can_place_goes_by_the_schedules_zone(create):
    in_tokyo = {"timezone": "Asia/Tokyo", "phone": "+1234567890", "calling_window": BY_NUMBER}

    assert create(**in_tokyo).status_code == 400  # midnight in Tokyo
    assert create(**in_tokyo, scheduled_time="2026-01-15T03:00:00Z").status_code == 200


def test_the_first_call_of_a_rule_is_its_first_within_the_window(api, create):
    answer = create(
        scheduled_time="2026-01-15T05:30:00Z", calling_window=DAYTIME, repeat_config=HOURLY
    )

    assert answer.json()["next_execution"] == "2026-01-15T08:30:00Z"
    path = f"/schedule/{answer.json()['schedule_id']}"
    assert api.get(path).json()["scheduled_time"] == "2026-01-15T05:30:00Z"


def test_a_rule_without_a_call_within_the_window_is_refused(create):
    code, field, issue = refusal(
        create(
            scheduled_time="2026-01-15T05:30:00Z",
            calling_window=DAYTIME,
            repeat_config={"frequency": "daily"},
        )
    )

    assert (code, field) == ("SCHEDULE_009", "calling_window")
    assert issue == "None of the next 1000 occurrences of the rule lies within it."


# -- changing ----------------------------------------------------------------------------------
def test_patch_keeps_what_is_not_sent_and_put_does_not(api, made):
    path = made(calling_window=DAYTIME, retry_policy=RETRIES, overlap="wait")
    kept = api.get(path).json()

    patched = api.patch(path, {"notes": "x"}, format="json")
    after_patch = api.get(path).json()
    body = {"phone": NEW_YORKER, "scheduled_time": "2026-01-15T15:00:00Z"}
    put = api.put(path, body, format="json")
    after_put = api.get(path).json()

    assert (patched.status_code, put.status_code) == (200, 200)
    names = ("calling_window", "retry_policy", "overlap")
    assert [after_patch[name] for name in names] == [kept[name] for name in names]
    assert [after_put[name] for name in names] == [None, None, "skip"]


@pytest.mark.parametrize(
    "sent", [{"retry_policy": RETRIES}, {"overlap": "wait"}, {"retry_policy": None}]
)
def test_a_change_of_the_policies_alone_moves_nothing(api, made, sent):
    path = made(repeat_config=HOURLY)
    before = ActiveSchedule.objects.values().get()

    assert api.patch(path, sent, format="json").status_code == 200

    assert ActiveSchedule.objects.values().get() == before
    assert sent.items() <= api.get(path).json().items()
    assert CallSchedule.objects.get().revision == 2


def test_a_new_window_moves_what_is_armed(api, made):
    path = made(repeat_config=HOURLY)

    answer = api.patch(path, {"calling_window": {"start": "18:00", "end": "20:00"}}, format="json")

    assert answer.json()["next_execution"] == "2026-01-15T18:00:00Z"
    assert armed_at() == datetime(2026, 1, 15, 18, tzinfo=UTC)


def test_a_window_that_is_taken_away_moves_what_is_armed_back(api, made):
    path = made(repeat_config=HOURLY, calling_window={"start": "18:00", "end": "20:00"})

    answer = api.patch(path, {"calling_window": None}, format="json")

    assert answer.json()["next_execution"] == "2026-01-15T15:00:00Z"


def test_a_new_number_moves_what_is_armed_where_the_window_goes_by_it(api, made):
    path = made(
        repeat_config=HOURLY, calling_window=BY_NUMBER, scheduled_time="2026-01-15T05:00:00Z"
    )
    assert armed_at() == datetime(2026, 1, 15, 13, tzinfo=UTC)

    answer = api.patch(path, {"phone": "+4915112345678"}, format="json")

    assert answer.json()["next_execution"] == "2026-01-15T07:00:00Z"


def test_a_new_number_of_a_one_time_call_is_checked_against_the_window(api, made):
    path = made(calling_window=BY_NUMBER)

    refused = api.patch(path, {"phone": "+81312345678"}, format="json")  # midnight in Tokyo

    assert refusal(refused)[:2] == ("SCHEDULE_009", "scheduled_time")
    assert CallSchedule.objects.get().phone == NEW_YORKER


def test_a_window_that_closes_over_a_one_time_call_is_refused(api, made):
    path = made()

    refused = api.patch(path, {"calling_window": {"start": "18:00", "end": "20:00"}}, format="json")

    assert refusal(refused)[:2] == ("SCHEDULE_009", "scheduled_time")
    assert CallSchedule.objects.get().calling_window is None


def test_a_paused_schedule_stays_paused_when_its_window_changes(api, made):
    path = made(repeat_config=HOURLY)
    api.post(f"{path}/pause")

    answer = api.patch(path, {"calling_window": DAYTIME}, format="json")

    assert answer.json()["next_execution"] is None
    assert CallSchedule.objects.get().status == "paused"


# -- pauses ------------------------------------------------------------------------------------
def test_a_pause_is_kept_with_its_begin_and_its_end(api, made):
    path = made(repeat_config=HOURLY)

    with time_machine.travel(datetime(2026, 1, 11, tzinfo=UTC), tick=False):
        api.post(f"{path}/pause")
    open_one = Pause.objects.get()
    with time_machine.travel(datetime(2026, 1, 12, tzinfo=UTC), tick=False):
        api.post(f"{path}/resume")

    assert open_one.ended_at is None
    assert (Pause.objects.get().began_at, Pause.objects.get().ended_at) == (
        datetime(2026, 1, 11, tzinfo=UTC),
        datetime(2026, 1, 12, tzinfo=UTC),
    )


@pytest.mark.parametrize("method", ["cancel", "delete"])
def test_an_end_ends_the_pause(api, made, method):
    path = made(repeat_config=HOURLY)
    api.post(f"{path}/pause")

    if method == "cancel":
        api.post(f"{path}/cancel")
    else:
        api.delete(path)

    assert not Pause.objects.filter(ended_at=None).exists()


def test_a_pause_that_is_refused_leaves_no_span(api, made):
    path = made()
    api.post(f"{path}/cancel")

    assert api.post(f"{path}/pause").status_code == 409
    assert not Pause.objects.exists()
