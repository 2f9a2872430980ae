"""Accounts, groups and sign-ins in the audit, whoever changes them: the admin, a command, code.

Heard from Django's signals. Of a password and of what names a person only that it changed is kept.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model, signals
from django.contrib.auth.models import Group
from django.db.models import Model
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save

from polaris.access import owner_id
from polaris.accounts.models import AgentGrant
from polaris.audit.acting import acting
from polaris.audit.changes import Changes, changes, gone, made
from polaris.audit.recording import Act, record

_OF_ACCOUNTS = (
    "username",
    "password",
    "first_name",
    "last_name",
    "email",
    "is_active",
    "is_staff",
    "is_superuser",
)
_OF_GROUPS = ("name",)


def listen() -> None:
    """From now on what happens to accounts is written down; once is enough."""
    user_model: Any = get_user_model()
    for model in (user_model, Group, AgentGrant):
        pre_save.connect(_read_before, sender=model, dispatch_uid=f"audit {model}")
        post_save.connect(_saved, sender=model, dispatch_uid=f"audit {model}")
        post_delete.connect(_deleted, sender=model, dispatch_uid=f"audit {model}")
    for relation in (user_model.groups, user_model.user_permissions, Group.permissions):
        sender: Any = relation.through
        m2m_changed.connect(_related, sender=sender, dispatch_uid=f"audit {sender}")
    signals.user_logged_in.connect(_signed_in, dispatch_uid="audit")
    signals.user_logged_out.connect(_signed_out, dispatch_uid="audit")
    signals.user_login_failed.connect(_refused, dispatch_uid="audit")


def record_token(user: Any, agent: str = "") -> None:
    """Write down that the account is given a token. What cannot be recorded is not given."""
    _record_of(user, "token.issue", {"agent_instance_id": (None, agent)} if agent else {})


def record_sign_out(user: Any, reason: str) -> None:
    """Write down that what descends from a sign-in of the account is good for nothing more."""
    _record_of(user, "token.end", {}, reason)


def _record_of(user: Any, verb: str, changed: Changes, reason: str = "") -> None:
    with acting(owner_id(user), user.get_username()):
        record(Act(verb, "account", owner_id(user), changes=changed, reason=reason))


def _read_before(instance: Any, raw: bool = False, update_fields: Any = None, **_: Any) -> None:
    if raw or _is_bookkeeping(update_fields):
        return
    known = type(instance)._base_manager.filter(pk=instance.pk).first() if instance.pk else None
    instance._audit_before = _values(known) if known else None


def _saved(
    instance: Any, created: bool, raw: bool = False, update_fields: Any = None, **_: Any
) -> None:
    if raw or _is_bookkeeping(update_fields):
        return
    before = instance.__dict__.pop("_audit_before", None)
    after = _values(instance)
    if created or before is None:
        _note(instance, "create", made(after))
    elif before != after:
        _note(instance, "change", changes(before, after))


def _deleted(instance: Any, **_: Any) -> None:
    _note(instance, "delete", gone(_values(instance)))


def _related(
    instance: Any, action: str, reverse: bool, model: Any, pk_set: Any, **more: Any
) -> None:
    """Groups or permissions that were given or taken; `reverse` where the group was asked."""
    if action not in {"post_add", "post_remove", "pre_clear"}:
        return
    if reverse:
        for other in model._base_manager.filter(pk__in=pk_set or ()):
            _note_related(other, action, [str(instance)], more["sender"])
        return
    if action == "pre_clear":
        pk_set = [] if not instance.pk else _held(instance, more["sender"])
    if pk_set:
        names = sorted(str(each) for each in model._base_manager.filter(pk__in=pk_set))
        _note_related(instance, action, names, more["sender"])


def _held(instance: Any, through: Any) -> list[Any]:
    for relation in instance._meta.many_to_many:
        if relation.remote_field.through is through:
            return list(getattr(instance, relation.name).values_list("pk", flat=True))
    return []


def _note_related(instance: Any, action: str, names: list[str], through: Any) -> None:
    what = "permissions" if "permission" in through._meta.model_name else "groups"
    change = (None, names) if action == "post_add" else (names, None)
    _note(instance, "change", {what: change})


def _note(instance: Any, what: str, changed: Changes) -> None:
    kind, key = _object(instance)
    record(Act(f"{kind}.{what}", kind, key, changes=changed))


def _object(instance: Any) -> tuple[str, str]:
    if isinstance(instance, Group):
        return "group", f"group_{instance.pk}"
    if isinstance(instance, AgentGrant):
        return "grant", instance.pk
    return "account", owner_id(instance)


def _values(instance: Model) -> dict[str, Any]:
    if isinstance(instance, AgentGrant):
        agent = instance.agent_instance_id
        return {"account": f"user_{instance.user_id}", "agent_instance_id": agent}
    names = _OF_GROUPS if isinstance(instance, Group) else _OF_ACCOUNTS
    return {name: getattr(instance, name) for name in names}


def _is_bookkeeping(update_fields: Iterable[str] | None) -> bool:
    """When somebody signed in last: the sign-in has an entry of its own."""
    return update_fields is not None and set(update_fields) == {"last_login"}


def _signed_in(user: Any, **_: Any) -> None:
    with acting(owner_id(user), user.get_username()):
        record(Act("session.begin", "account", owner_id(user)))


def _signed_out(user: Any, **_: Any) -> None:
    if user is None:
        return
    with acting(owner_id(user), user.get_username()):
        record(Act("session.end", "account", owner_id(user)))


def _refused(credentials: dict[str, Any], **_: Any) -> None:
    """Not the name that was typed: people type passwords there. The account, if there is one."""
    model: Any = get_user_model()
    name = str(credentials.get(model.USERNAME_FIELD) or "").replace("\0", "")
    user = model._default_manager.filter(**{model.USERNAME_FIELD: name}).first()
    record(Act("session.refused", "account", owner_id(user) if user else ""))
