"""The zones of a number, and which of them a window asks."""

import sys
from zoneinfo import ZoneInfo

import pytest

from schedules.calling_window import parse_calling_window
from schedules.number_zones import window_zones, zones_of

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("phone", "zones"),
    [
        ("+12125551234", ["America/New_York"]),
        ("+4915112345678", ["Europe/Berlin"]),
        ("+34600000000", ["Atlantic/Canary", "Europe/Madrid"]),
        ("+1234567890", []),  # too short for its country
        ("+882161234567", []),  # a satellite phone
        ("not a number", []),
    ],
)
def test_the_zones_of_a_number(phone, zones):
    assert [zone.key for zone in zones_of(phone)] == zones


@pytest.mark.parametrize(
    ("zone", "phone", "expected"),
    [
        ("schedule", "+12125551234", "Europe/Berlin"),
        ("number", "+12125551234", "America/New_York"),
        ("number", "+1234567890", "Europe/Berlin"),
        ("Asia/Tokyo", "+12125551234", "Asia/Tokyo"),
    ],
)
def test_whose_clock_a_window_goes_by(zone, phone, expected):
    window = parse_calling_window({"start": "08:00", "end": "21:00", "zone": zone})

    assert window_zones(window, phone=phone, zone=BERLIN) == (ZoneInfo(expected),)


def test_a_free_number_may_be_anywhere_in_its_country():
    assert len(zones_of("+18005551234")) > 10


def test_the_geocoder_is_not_loaded():
    assert "phonenumbers.geocoder" not in sys.modules  # 4.5 s and 190 MiB
