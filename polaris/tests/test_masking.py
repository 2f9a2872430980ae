"""Numbers as logs and errors show them."""

import io
import logging

import pytest

from polaris.masking import mask_numbers
from polaris.privacy.logs import MaskedRecord
from polaris.privacy.spelling import numbers_meant

NUMBER = "+4915112345678"
MASKED = "+4••••••••5678"


@pytest.mark.parametrize(
    "text",
    [
        NUMBER,
        f"to {NUMBER}.",
        f"sip:{NUMBER}@example.com",
        f"x{NUMBER}",
        "To=%2B4915112345678&From=",
        "+49 151 12345678",
        "+49 (151) 1234-5678",
        "call 004915112345678 now",
        repr({"phone": NUMBER}),
    ],
)
def test_a_number_in_a_text_is_masked(text):
    masked = mask_numbers(text)

    assert MASKED in masked
    assert "12345678" not in masked.replace(" ", "").replace("-", "")


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T19:50:36+01:00",
        "2026-11-23 19:50:36.001234 UTC",
        "Etc/GMT+10, 2026-11-23",
        "log_01kf0rdqg0dv44tpn1v456nvjx",
        "0.00123456789 s",
        "1 + 1000000",
        "CA00000000000000000000000000000000",
        "127.0.0.1:8000",
    ],
)
def test_what_is_no_number_stays(text):
    assert mask_numbers(text) == text


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("+4915112345678", ["+4915112345678"]),
        (" 4915112345678", ["+4915112345678"]),
        ("0049 151 / 12 34 56 78", ["+4915112345678"]),
        ("+49 (0) 151-12345678", ["+4915112345678"]),
        ("(415) 555-0100", ["+4155550100", "+14155550100"]),
        ("5550", []),
        ("dentist", []),
        ("log_1", []),
        ("", []),
    ],
)
def test_a_number_is_understood_however_it_is_written(text, meant):
    assert numbers_meant(text, region_of="+15005550006") == meant


class Odd:
    """Something whose words hold a number."""

    def __str__(self) -> str:
        return NUMBER


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        (f"dialled {NUMBER}", ()),
        ("dialled %s", (NUMBER,)),
        ("dialled %(to)s", ({"to": NUMBER},)),
        ("dialled %s", (Odd(),)),
        ("dialled %r", ([NUMBER],)),
        ("dialled +%d", (4915112345678,)),
        (Odd(), ()),
    ],
)
def test_any_handler_gets_a_masked_message(message, arguments):
    told = io.StringIO()

    log_to(told, message, *arguments)

    assert MASKED in told.getvalue()
    assert NUMBER not in told.getvalue()


def test_a_traceback_is_masked_with_its_causes():
    told = io.StringIO()

    try:
        try:
            raise ValueError(f"no {NUMBER}")
        except ValueError as error:
            raise RuntimeError(f"on the way to {NUMBER}") from error
    except RuntimeError:
        log_to(told, "it failed", exc_info=True)

    assert told.getvalue().count(MASKED) == 2
    assert "Traceback" in told.getvalue()
    assert NUMBER not in told.getvalue()


def test_every_record_of_the_process_is_a_masked_one():
    assert logging.getLogRecordFactory() is MaskedRecord


def log_to(stream, message, *arguments, **more) -> None:
    """By a logger and a handler that nobody has prepared."""
    logger, handler = logging.getLogger("stranger"), logging.StreamHandler(stream)
    logger.addHandler(handler)
    try:
        logger.error(message, *arguments, **more)
    finally:
        logger.removeHandler(handler)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "ask",
    [
        lambda api: api.get(f"/schedule/{NUMBER}"),
        lambda api: api.get("/schedule/", {"status": NUMBER}),
        lambda api: api.get(f"/nowhere/{NUMBER}"),
        lambda api: api.get(f"/schedule/tracking/logs/{NUMBER}"),
        lambda api: api.post("/schedule/", {"phone": f"{NUMBER} "[::-1]}, format="json"),
        lambda api: api.post(
            "/schedule/",
            {"phone": NUMBER, "scheduled_time": NUMBER, "overlap": NUMBER},
            format="json",
        ),
        lambda api: api.post("/schedule/", {NUMBER: NUMBER}, format="json"),
    ],
)
def test_an_error_repeats_no_whole_number(api, ask):
    answer = ask(api)

    assert answer.status_code >= 400
    assert NUMBER not in answer.content.decode()
