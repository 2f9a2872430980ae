"""What the schedules of the day look like: some thousand patterns, each with many schedules.

All is drawn from a seed. What a pattern's schedules must do on the day is computed here, by listing
its timetable over the whole day: the replay gets there from one occurrence to the next."""

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from schedules.calling_window import parse_calling_window
from schedules.localtime import readings
from schedules.number_zones import window_zones
from schedules.repeat_config import parse_repeat_config
from schedules.timetable import Timetable

DAY = timedelta(days=1)
MOST = 5_000
_MOST_A_DAY = 2000

# Zone, a number there, and how often.
_PLACES = {
    ("America/New_York", "+12125550100"): 35,
    ("America/Los_Angeles", "+14155550100"): 15,
    ("Europe/London", "+442079460000"): 12,
    ("Europe/Berlin", "+493012345678"): 12,
    ("Asia/Kolkata", "+912225550100"): 10,
    ("America/Sao_Paulo", "+551125550100"): 8,
    ("Asia/Tokyo", "+81312345678"): 5,
    ("Asia/Kathmandu", "+97714123456"): 2,
    ("Australia/Lord_Howe", "+61265632000"): 1,
}
# What repeats, and how often of a thousand; the rest are one-time calls.
_RULES: list[tuple[dict[str, Any], int]] = [
    ({"frequency": "daily"}, 240),
    ({"frequency": "daily", "interval": 2}, 40),
    ({"frequency": "weekly", "weekdays": ["monday", "wednesday", "friday"]}, 60),
    ({"frequency": "monthly"}, 40),
    ({"frequency": "hourly", "interval": 3}, 10),
    ({"cron": "*/30 9-17 * * 1-5"}, 3),
    ({"rrule": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"}, 40),
    ({"rrule": "FREQ=MONTHLY;BYDAY=2MO"}, 17),
]
_WINDOWS = [
    (None, 40),
    ({"start": "08:00", "end": "20:00"}, 40),
    ({"start": "08:00", "end": "20:00", "zone": "number"}, 15),
    ({"start": "09:00", "end": "17:00", "days": ["monday", "tuesday", "wednesday"]}, 5),
]
_RETRIES = [
    (None, 40),
    ({"on": ["busy", "no_answer"], "attempts": 3, "delays": [300, 3600]}, 40),
    ({"on": ["busy", "no_answer", "failed"], "attempts": 2, "delays": [900]}, 20),
]
# By hour of the local day, when people have calls made.
_HOURS = [1, 1, 0, 0, 0, 1, 3, 8, 30, 60, 60, 50, 35, 45, 55, 50, 45, 35, 20, 10, 5, 3, 2, 1]


@dataclass(frozen=True, slots=True)
class Pattern:
    """What many schedules have in common. `expected` are the day's occurrences, `first` the one
    that is armed when it begins (None: it has none left)."""

    phone: str
    zone: str
    anchor: datetime
    repeat_config: dict[str, Any] | None
    calling_window: dict[str, Any] | None
    retry_policy: dict[str, Any] | None
    first: datetime | None
    expected: list[datetime]
    zones: list[str]


def draw(count: int, *, day: date, seed: int) -> list[Pattern]:
    """So many patterns, all of which have something armed when the day begins."""
    chance = random.Random(seed)
    found: list[Pattern] = []
    while len(found) < count:
        pattern = _pattern(chance, datetime.combine(day, time(), UTC))
        if pattern.first is not None:
            found.append(pattern)
    return found


def _pattern(chance: random.Random, start: datetime) -> Pattern:
    place, phone = _pick(chance, list(_PLACES.items()))
    zone = ZoneInfo(place)
    rules = [*_RULES, (None, 1000 - sum(share for _, share in _RULES))]
    rule = _pick(chance, rules)
    config = {"enabled": True, **rule} if rule else None
    window = _pick(chance, _WINDOWS)
    ago = timedelta(days=chance.randrange(1, 400)) if rule else timedelta()
    anchor = _moment(chance, start - ago, zone, exact=not rule)
    parsed = parse_calling_window(window)
    zones = window_zones(parsed, phone=phone, zone=zone) if parsed else ()
    read = parse_repeat_config(config, anchor=anchor, zone=zone)
    timetable = Timetable(anchor, zone, read, parsed, zones)
    if rule is None and parsed and not parsed.is_open(anchor, zones):
        first, expected = None, []  # planning refuses it
    else:
        first = timetable.next(start - timedelta.resolution)
        expected = timetable.due(start, start + DAY - timedelta.resolution, _MOST_A_DAY)
    return Pattern(
        phone, place, anchor, config, window, _pick(chance, _RETRIES), first, expected,
        [each.key for each in zones],
    )  # fmt: skip


def _moment(chance: random.Random, day: datetime, zone: ZoneInfo, *, exact: bool) -> datetime:
    """A local time of that UTC day: most at the full or the half hour, or any second."""
    (hour,) = chance.choices(range(24), _HOURS)
    minute, second = chance.choice([0, 0, 0, 30, 15, 45]), 0
    if exact and chance.random() < 0.6:
        minute, second = chance.randrange(60), chance.randrange(60)
    wall = datetime.combine(day.date(), time(hour, minute, second))
    moment, _ = readings(wall, zone)
    while moment.date() < day.date():
        moment += DAY
    while moment.date() > day.date():
        moment -= DAY
    return moment.astimezone(UTC)


def _pick(chance: random.Random, shares: list[tuple[Any, int]]) -> Any:
    names, weights = zip(*shares, strict=True)
    return chance.choices(names, weights)[0]
