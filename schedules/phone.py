"""The phone rule: E.164 by form, and parseable."""

import re

import phonenumbers

from polaris.errors import InvalidPhone

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")


def check_phone(raw: str) -> str:
    """`raw` itself, where it is a phone number in E.164. Raises InvalidPhone.

    Not more is asked: +1234567890 is too short for its country and yet a carrier's matter."""
    if not _E164.fullmatch(raw):
        raise InvalidPhone(
            "A phone number is written in E.164: a plus sign, the country code and the number, "
            "at most 15 digits, nothing between them."
        )
    try:
        phonenumbers.parse(raw)
    except phonenumbers.NumberParseException as error:
        raise InvalidPhone("The phone number has no known country code or is too short.") from error
    return raw
