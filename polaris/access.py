"""Who may see what: the one place that decides which rows exist for a user."""

from typing import Any, TypeVar

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


def owner_id(user: Any) -> str:
    """How `created_by` names an account: `user_` and its key."""
    return f"user_{user.pk}"


def visible_to(
    user: Any, rows: QuerySet[Row], *, right: str = "view", owner: str = "created_by"
) -> QuerySet[Row]:
    """The rows that exist for `user`: its own, or all for staff who hold `right` on their model.

    `right` is one of Django's (view, change, delete), as the admin asks for it; `owner` names the
    field, of the rows or beyond a relation, that says whose they are."""
    model = rows.model._meta
    if user.is_staff and user.has_perm(f"{model.app_label}.{right}_{model.model_name}"):
        return rows
    return rows.filter(**{owner: owner_id(user)})
