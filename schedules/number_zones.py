"""Where may a called party's clock be? The time zones of a phone number, by its prefix."""

from zoneinfo import ZoneInfo

import phonenumbers
from phonenumbers.timezone import time_zones_for_number

from schedules.calling_window import NUMBER, SCHEDULE, CallingWindow
from schedules.localtime import UnknownZone, load_zone


def zones_of(phone: str) -> tuple[ZoneInfo, ...]:
    """Every zone in which a number may be; none where its prefix tells nothing.

    A landline has mostly one; a mobile or a free number all those of its country."""
    try:
        names = time_zones_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return ()
    return tuple(zone for zone in map(_known, names) if zone is not None)


def window_zones(window: CallingWindow, *, phone: str, zone: ZoneInfo) -> tuple[ZoneInfo, ...]:
    """The zones in all of which a window must be open for a call to `phone`.

    `zone` is the schedule's, which also stands in for a number that nobody can place."""
    if window.zone == NUMBER:
        return zones_of(phone) or (zone,)
    return (zone,) if window.zone == SCHEDULE else (load_zone(window.zone),)


def _known(name: str) -> ZoneInfo | None:
    """None for `Etc/Unknown`, and for what this machine's database does not have."""
    try:
        return load_zone(name)
    except UnknownZone:
        return None
