"""Which number may somebody mean who writes it his own way?"""

import re

import phonenumbers

_GAPS = re.compile(r"[\s().\-/\u00a0]+")
_WRITTEN = re.compile(r"(?:\+|00)?[0-9]{5,15}")


def numbers_meant(text: str, *, region_of: str = "") -> list[str]:
    """The numbers in E.164 that `text` may stand for: international with +, 00 or neither, or as
    one writes it in the country of the number `region_of`. Parts of a number mean none."""
    bare = _GAPS.sub("", text.replace("(0)", ""))
    if not _WRITTEN.fullmatch(bare):
        return []
    found = [f"+{bare.removeprefix('+').removeprefix('00')}"]
    if not bare.startswith(("+", "00")) and (national := _national(bare, region_of)):
        found.append(national)
    return found


def _national(bare: str, region_of: str) -> str:
    try:
        country = phonenumbers.parse(region_of).country_code
        region = phonenumbers.region_code_for_country_code(country or 0)
        number = phonenumbers.parse(bare, region)
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_possible_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
