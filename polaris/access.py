"""Who may see what: the one place that decides which rows exist for a user."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def owner_id(user: Any) -> str:
    """How `created_by` names an account: `user_` and its key."""
    return f"user_{user.pk}"


def visible_to(user: Any, rows: QuerySet[Row], *, owner: str = "created_by") -> QuerySet[Row]:
    """The rows that exist for `user`: all for staff, else those of its own making.

    `owner` names the field, of the rows or beyond a relation, that says whose they are."""
    return rows if user.is_staff else rows.filter(**{owner: owner_id(user)})
