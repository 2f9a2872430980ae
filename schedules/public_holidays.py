"""Is a day a public holiday, by the `holidays` library? Loaded when first asked, kept by year."""

import re
import warnings
from datetime import date
from functools import cache, lru_cache
from threading import Lock
from types import ModuleType
from typing import Any

_CODE = re.compile(r"(?P<country>[A-Z]{2})(-(?P<region>[A-Z0-9]{1,3}))?", re.ASCII)
_LANGUAGE = "en_US"
# catch_warnings is not for two threads at once.
_quietly = Lock()


class UnknownPlace(ValueError):
    """No country or region whose holidays are known; the message says so in a sentence."""


def check_place(text: str) -> str:
    """The code of a country (ISO 3166-1, FI) or region (3166-2, US-CA) in capitals.

    Raises UnknownPlace."""
    code = text.strip().upper()
    match = _CODE.fullmatch(code)
    if match is None or not text.isascii():  # a capital ß is SS, which is South Sudan
        raise UnknownPlace(
            "Must be the code of a country or of a region of it, such as FI, US-CA or DE-BY."
        )
    country, region = match["country"], match["region"]
    if country not in _places():
        raise UnknownPlace(f"The holidays of {country} are not known.")
    if region is not None and region not in _places()[country]:
        raise UnknownPlace(f"The holidays of {code} are not known, but those of {country} are.")
    return code


def holiday_on(day: date, place: str) -> str:
    """The name of that day's public holiday, in English where there is one; else empty."""
    return _holidays_of(place, day.year).get(day, "")


@cache
def last_known_year(place: str) -> int:
    """Later years have holidays too, but nobody has computed them yet."""
    return int(_country_of(place).end_year)


@cache
def _places() -> dict[str, frozenset[str]]:
    supported = _library().list_supported_countries()
    return {country: frozenset(regions) for country, regions in supported.items()}


@lru_cache(maxsize=4096)
def _holidays_of(place: str, year: int) -> dict[date, str]:
    country, _, region = place.partition("-")
    language = _language_of(place)
    # India's movable feasts are known for fewer years than its others, which it warns of.
    with _quietly, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = _library().country_holidays(
            country, subdiv=region or None, years=year, expand=False, language=language
        )
    return dict(known)


def _language_of(place: str) -> str | None:
    return _LANGUAGE if _LANGUAGE in _country_of(place).supported_languages else None


def _country_of(place: str) -> Any:
    return getattr(_library(), place.partition("-")[0])


def _library() -> ModuleType:
    """Imported late: it takes some tenths of a second, and few schedules ask for it."""
    import holidays  # noqa: PLC0415

    return holidays
