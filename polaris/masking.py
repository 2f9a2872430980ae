"""Phone numbers as they may be shown in logs, lists and notifications."""

_SHOWN = 4


def mask_phone(phone: str) -> str:
    """`+15005550006` as `+1••••••0006`: the last four digits tell two people apart."""
    if len(phone) <= _SHOWN + 2:
        return "•" * len(phone)
    return phone[:2] + "•" * (len(phone) - _SHOWN - 2) + phone[-_SHOWN:]
