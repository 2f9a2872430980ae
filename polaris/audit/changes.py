"""What changed, as it may be kept for ever: before and after of each field, and nobody's number.

An entry is never altered, not even to erase a person, so what tells of persons does not get in:
numbers are masked, and of texts it is only kept that there was one."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from polaris.masking import mask_numbers, mask_phone
from polaris.moments import show_utc

A_TEXT = "…"
# Of these only whether there was something, and that it is another one now.
_NOT_KEPT = frozenset(
    {
        "description",
        "notes",
        "user_profile_id",
        "password",
        "first_name",
        "last_name",
        "email",
    }
)
_IN_WORDS = frozenset({"status_reason", "error_message", "attention", "reason"})

# Field to (before, after); None where there was, or is, nothing.
Changes = dict[str, tuple[Any, Any]]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Changes:
    """The fields whose values differ, as they may be kept."""
    return {
        name: (kept(name, before.get(name)), kept(name, after.get(name)))
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    }


def made(after: Mapping[str, Any]) -> Changes:
    """All of a new object but what is empty in it."""
    return {name: (None, kept(name, value)) for name, value in after.items() if _is_said(value)}


def gone(before: Mapping[str, Any]) -> Changes:
    """All of an object that is no more."""
    return {name: (kept(name, value), None) for name, value in before.items() if _is_said(value)}


def kept(name: str, value: Any) -> Any:
    """A field's value as it may be kept, ready for JSON."""
    if value is None or value == "":
        return value
    if name in _NOT_KEPT:
        return A_TEXT
    if name == "phone":
        return mask_phone(value)
    if isinstance(value, datetime):
        return show_utc(value)
    if name in _IN_WORDS:
        return mask_numbers(value)
    return value


def _is_said(value: Any) -> bool:
    return value is not None and value != ""
