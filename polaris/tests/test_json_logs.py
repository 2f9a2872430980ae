"""LOG_FORMAT=json: one object a line, with the ids of what it is about and without numbers."""

import json
import logging
import subprocess
import sys
from types import SimpleNamespace

import pytest
from django.test import RequestFactory
from django.urls import ResolverMatch

from polaris.audit.acting import serving
from polaris.json_logs import JsonFormatter
from polaris.privacy.logs import MaskedRecord
from polaris.request_ids import RequestIdFilter
from polaris.tests.serving import NOWHERE
from polaris.tests.stack import HOME, Stack

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


def told_by_a_process(folder, program: str) -> list[dict]:
    """The lines of a process that sets Django up and does no more than the program says."""
    stack = Stack(SimpleNamespace(url=NOWHERE), folder)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=HOME,
        env=stack.environment | {"LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "15005550006" not in done.stderr
    return [json.loads(text) for text in done.stderr.splitlines()]


@pytest.mark.parametrize(
    ("what_happens", "logger", "message"),
    [
        ("warnings.warn('call +15005550006')", "py.warnings", "call +1••••••0006"),
        ("threading.Thread(target=fail, name='x').start()", "polaris", "thread x ended by"),
        ("fail()", "polaris", "ended by ValueError"),
    ],
)
def test_what_python_itself_tells_is_a_masked_line_too(tmp_path, what_happens, logger, message):
    (told,) = told_by_a_process(
        tmp_path,
        f"""
import threading, warnings, django
def fail():
    raise ValueError("cannot call +15005550006")
django.setup()
{what_happens}
""",
    )

    assert told["logger"].startswith(logger)
    assert message in told["message"]


@pytest.mark.parametrize(
    ("options", "heard"),
    [
        ("", ["access", "begun", "trouble"]),
        ("access_log=False", ["begun", "trouble"]),
        ("log_level='warning'", ["trouble"]),
        ("log_config=None", ["access", "begun", "trouble"]),
    ],
)
def test_lines_of_the_server_take_the_same_form_and_those_switched_off_stay_off(
    tmp_path, options, heard
):
    told = told_by_a_process(
        tmp_path,
        f"""
import logging, django, uvicorn
uvicorn.Config("none", {options})
django.setup()
logging.getLogger("uvicorn.access").info("access")
logging.getLogger("uvicorn.error").info("begun")
logging.getLogger("uvicorn.error").warning("trouble")
""",
    )

    assert [each["message"] for each in told] == heard
