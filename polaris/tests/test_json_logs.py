"""LOG_FORMAT=json: one object a line, with the ids of what it is about and without numbers."""

import json
import logging

import pytest
from django.test import RequestFactory
from django.urls import ResolverMatch

from polaris.audit.acting import serving
from polaris.json_logs import JsonFormatter
from polaris.privacy.logs import MaskedRecord
from polaris.request_ids import RequestIdFilter

SCHEDULE, LOG = "schedule_01m854p471harchddr64txsnkb", "log_01m854p471harchddr64txsnkc"


def line(message, *args, exc_info=None, stack=None, level=logging.WARNING) -> dict:
    record = MaskedRecord("tracking", level, __file__, 1, message, args, exc_info, sinfo=stack)
    RequestIdFilter().filter(record)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_says_when_how_grave_who_and_what():
    told = line("dialled %s calls", 3)

    assert told.keys() == {"time", "level", "logger", "message", "process"}
    assert (told["level"], told["logger"]) == ("WARNING", "tracking")
    assert told["message"] == "dialled 3 calls"
    assert told["time"].endswith("Z")


def test_names_the_schedule_and_the_attempt_of_which_it_speaks():
    told = line("%s of %s was not accepted: busy", LOG, SCHEDULE)

    assert (told["schedule_id"], told["attempt_id"]) == (SCHEDULE, LOG)


@pytest.mark.parametrize("text", ["schedule_id is missing", "call_logs", "the schedule_settled"])
def test_words_that_look_like_ids_are_none(text):
    assert not {"schedule_id", "attempt_id"} & line(text).keys()


def test_names_the_request_and_what_its_path_names():
    request = RequestFactory().get("/")
    request.resolver_match = ResolverMatch(None, (), {"schedule_id": SCHEDULE})

    with serving(request, "request_1"):
        told = line("it failed")

    assert (told["request_id"], told["schedule_id"]) == ("request_1", SCHEDULE)


def test_an_exception_stands_in_its_line_with_its_numbers_masked():
    try:
        raise ValueError("cannot call +15005550006\nat all")
    except ValueError as error:
        told = line("failed", exc_info=(type(error), error, error.__traceback__))

    assert "Traceback" in told["exception"]
    assert "cannot call +1••••••0006\nat all" in told["exception"]


def test_numbers_are_masked_and_line_breaks_escaped():
    told = line("calling %s\nnow", "+15005550006", stack="at +15005550006")

    assert told["message"] == "calling +1••••••0006\nnow"
    assert told["exception"] == "at +1••••••0006"
