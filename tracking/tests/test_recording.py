"""Answers that arrive together are written together, and none for another's trouble is lost."""

import threading
import time

import pytest
from django.db import OperationalError

from tracking import ledger
from tracking.recording import Recorder


@pytest.fixture
def written(monkeypatch):
    """The batches that were written; a batch with "bad" in it fails, as does one with "away"."""
    batches = []

    def write(batch):
        time.sleep(0.02)  # a commit takes its time
        if "away" in batch:
            raise OperationalError("gone")
        if "bad" in batch:
            raise KeyError("bad")
        batches.append(list(batch))

    monkeypatch.setattr(ledger, "record_accepted", write)
    monkeypatch.setattr("tracking.recording.open_the_gate", lambda: None)
    return batches


def record_all(answers):
    recorder, errors = Recorder(), {}
    begin = threading.Barrier(len(answers))

    def run(answer):
        with recorder:
            begin.wait()
        try:
            recorder.record(answer)
        except Exception as error:
            errors[answer] = error

    threads = [threading.Thread(target=run, args=(answer,)) for answer in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    return errors


def test_every_answer_is_written_once_in_few_batches(written):
    answers = [f"answer {number}" for number in range(40)]

    assert record_all(answers) == {}

    assert sorted(answer for batch in written for answer in batch) == sorted(answers)
    assert len(written) < 20


def test_one_that_cannot_be_written_fails_alone(written):
    errors = record_all(["bad", *(f"answer {number}" for number in range(10))])

    assert {answer: type(error) for answer, error in errors.items()} == {"bad": KeyError}
    assert sum(len(batch) for batch in written) == 10


def test_a_database_that_is_away_is_told_to_those_who_asked_together(written):
    errors = record_all(["away"])

    assert isinstance(errors["away"], OperationalError)
    assert record_all(["back"]) == {}


def test_an_answer_alone_does_not_wait_for_others(written):
    recorder = Recorder()
    recorder.LINGER_SECONDS = 3600

    recorder.record("alone")

    assert written == [["alone"]]
