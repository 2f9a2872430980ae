"""What number does a caller mean?"""

import re

_SEPARATORS = re.compile(r"[\s().-]")
_DIGITS = re.compile(r"\+?([1-9]\d{6,14})")


def dialled(text: str) -> str | None:
    """The number in E.164, None where it is none; ten bare digits are North American."""
    bare = _SEPARATORS.sub("", text)
    found = _DIGITS.fullmatch(bare)
    if found is None:
        return None
    return f"+1{bare}" if len(bare) == 10 and bare[0] != "+" else f"+{found[1]}"


def formatted(number: str) -> str:
    """The number as Twilio's `to_formatted` shows it: North American ones in brackets."""
    if number.startswith("+1") and len(number) == 12:
        return f"({number[2:5]}) {number[5:8]}-{number[8:]}"
    return number
