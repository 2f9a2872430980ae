"""Phone numbers as they may be shown in logs, lists and notifications."""

import re
from typing import Any

from polaris.errors import Unreadable

_SHOWN = 4
# In E.164 wherever it stands; with gaps, or after 00, only where no word runs into it.
_NUMBER = re.compile(
    r"(?:\+|%2[Bb])[1-9]\d{5,14}(?!\d)"
    r"|(?<![\w.:])(?:\+|%2[Bb]|00)[1-9](?:[ \u00a0().\-/]{0,2}\d){6,14}(?!\d)"
)


def mask_phone(phone: str) -> str:
    """`+15005550006` as `+1••••••0006`: the last four digits tell two people apart."""
    if len(phone) <= _SHOWN + 2:
        return "•" * len(phone)
    return phone[:2] + "•" * (len(phone) - _SHOWN - 2) + phone[-_SHOWN:]


def masked_number(row: Any) -> str:
    """The masked `phone` of a row, also where it cannot be read."""
    try:
        return mask_phone(row.phone)
    except Unreadable:
        return "unreadable"


def mask_numbers(text: str) -> str:
    """The text with every phone number in it masked."""
    if "+" not in text and "00" not in text and "%2" not in text:
        return text
    return _NUMBER.sub(_mask_found, text)


def _mask_found(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", re.sub(r"^(%2[Bb]|00)", "", found[0]))
    return mask_phone(f"+{digits}")
