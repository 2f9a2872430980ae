"""Events: who hears of what, when, and what a failing handler may not do."""

from collections.abc import Callable, Iterator

import pytest

from polaris.database import atomic
from polaris.events import (
    CALL_EVENTS,
    DIALLING_EVENTS,
    EVENTS,
    RUNNER_EVENTS,
    SCHEDULE_EVENTS,
    WORKER_EVENTS,
    Event,
    is_heard,
    on,
    publish,
    unregister,
)
from schedules import services
from schedules.models import CallSchedule
from schedules.tests.factories import CallScheduleFactory


class Ear:
    """A handler that remembers what it heard."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.heard.append(event)

    @property
    def names(self) -> list[str]:
        return [event.name for event in self.heard]


@pytest.fixture
def listen() -> Iterator[Callable[..., Ear]]:
    """Registers a handler until the test ends."""
    handlers: list[Callable[[Event], object]] = []

    def listen(pattern: str, handler: Callable[[Event], object] | None = None, **options: bool):
        handler = handler or Ear()
        handlers.append(handler)
        return on(pattern, **options)(handler)

    yield listen
    for handler in handlers:
        unregister(handler)


class SetbackError(Exception):
    """What makes a change fail after it has published."""


def publish_and_fail(name: str) -> None:
    with atomic():
        publish(name)
        raise SetbackError


def break_down(event: Event) -> None:
    raise RuntimeError("this handler is broken")


def test_the_events_are_those_of_schedules_calls_dialling_runners_and_workers():
    kinds = {name.partition(".")[0] for name in EVENTS}

    assert kinds == {"schedule", "call", "dialling", "runner", "worker"}
    assert len(SCHEDULE_EVENTS) == 7
    assert len(CALL_EVENTS) == 5
    assert len(DIALLING_EVENTS) == 2
    assert len(RUNNER_EVENTS) == 4
    assert len(WORKER_EVENTS) == 2


@pytest.mark.django_db(transaction=True)
def test_a_handler_hears_after_the_commit_and_not_before(listen):
    ear = listen("call.failed")

    with atomic():
        publish("call.failed", log_id="log_1")
        heard_inside = list(ear.heard)

    assert heard_inside == []
    assert ear.names == ["call.failed"]
    assert ear.heard[0].data == {"log_id": "log_1"}


@pytest.mark.django_db(transaction=True)
def test_a_handler_hears_nothing_of_what_was_rolled_back(listen):
    ear = listen("*")

    with pytest.raises(SetbackError):
        publish_and_fail("call.failed")

    assert ear.heard == []


@pytest.mark.django_db(transaction=True)
def test_a_handler_hears_nothing_of_a_savepoint_that_was_rolled_back(listen):
    ear = listen("*")

    with atomic():
        publish("call.started")
        with pytest.raises(SetbackError):
            publish_and_fail("call.failed")

    assert ear.names == ["call.started"]


@pytest.mark.django_db(transaction=True)
def test_a_handler_hears_at_once_where_no_transaction_is_open(listen):
    ear = listen("*")

    publish("call.completed")

    assert ear.names == ["call.completed"]


@pytest.mark.django_db(transaction=True)
def test_a_handler_in_the_transaction_hears_before_the_commit(listen):
    ear = listen("*", in_transaction=True)

    with atomic():
        publish("call.failed")
        heard_inside = ear.names

    assert heard_inside == ["call.failed"]
    assert ear.names == ["call.failed"]


@pytest.mark.django_db(transaction=True)
def test_what_a_handler_in_the_transaction_writes_is_rolled_back_with_it(listen):
    listen("call.failed", lambda event: CallScheduleFactory(), in_transaction=True)

    with pytest.raises(SetbackError):
        publish_and_fail("call.failed")

    assert not CallSchedule.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_failing_handler_harms_neither_the_change_nor_other_handlers(listen, caplog):
    schedule = CallScheduleFactory()
    first = listen("schedule.cancelled")
    listen("schedule.cancelled", break_down)
    last = listen("schedule.cancelled")

    services.cancel(schedule)

    schedule.refresh_from_db()
    assert schedule.status == CallSchedule.Status.CANCELLED
    assert first.names == last.names == ["schedule.cancelled"]
    assert "a handler of schedule.cancelled failed" in caplog.text


@pytest.mark.parametrize(
    ("pattern", "heard"),
    [
        ("call.failed", ["call.failed"]),
        ("call.*", ["call.started", "call.failed"]),
        ("*.failed", ["call.failed", "schedule.failed"]),
        ("*", ["call.started", "call.failed", "schedule.failed"]),
        ("schedule.[a-e]*", []),
    ],
)
def test_a_pattern_chooses_what_a_handler_hears(
    listen, django_capture_on_commit_callbacks, db, pattern, heard
):
    ear = listen(pattern)

    with django_capture_on_commit_callbacks(execute=True):
        for name in ("call.started", "call.failed", "schedule.failed"):
            publish(name)

    assert ear.names == heard


def test_a_handler_hears_what_it_wants_at_that_moment(listen, db):
    wanted = {"call.failed"}
    ear = listen("call.*", in_transaction=True, wants=lambda name: name in wanted)

    publish("call.failed")
    publish("call.started")
    wanted.add("call.started")
    publish("call.started")

    assert ear.names == ["call.failed", "call.started"]


def test_what_nobody_listens_to_need_not_be_told(listen, settings):
    settings.NOTIFY_EVENTS = ["call.missed"]
    assert is_heard("call.missed")
    assert not is_heard("call.started")

    listen("call.started", wants=lambda _: False)
    assert not is_heard("call.started")

    listen("call.s*")
    assert is_heard("call.started")


@pytest.mark.parametrize("pattern", ["call.exploded", "calls.*", "", "CALL.FAILED"])
def test_a_handler_cannot_wait_for_an_event_that_does_not_exist(pattern):
    with pytest.raises(ValueError, match="no event matches"):
        on(pattern)


def test_an_event_that_does_not_exist_cannot_be_published(listen):
    ear = listen("*", in_transaction=True)

    with pytest.raises(ValueError, match="is not an event"):
        publish("call.exploded")

    assert ear.heard == []


def test_a_handler_that_was_taken_out_hears_no_more(db, django_capture_on_commit_callbacks):
    ear = Ear()
    on("*")(ear)
    unregister(ear)

    with django_capture_on_commit_callbacks(execute=True):
        publish("call.failed")

    assert ear.heard == []


def test_every_event_has_an_id_of_its_own_and_a_moment_in_utc(
    db, django_capture_on_commit_callbacks
):
    first, second = publish("call.failed"), publish("call.failed")

    assert first.id != second.id
    assert first.id.startswith("event_")
    assert first.happened_at.utcoffset().total_seconds() == 0
