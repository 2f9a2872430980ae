"""How an action in the admin is asked for, confirmed and told: nothing happens without a POST.

On a list the action answers with a page that says what would happen, and acts once that page has
been confirmed. On an object's page it is a dialog, which acts when it is submitted.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import ModelAdmin, helpers
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from unfold.decorators import action
from unfold.forms import BaseDialogForm

from polaris.admin_site import page_of
from polaris.database import atomic
from polaris.errors import PolarisError
from polaris.repeating import repeated

NAMED = 10  # so many objects are named in a message or on a page; the others are counted


class NoChoices(forms.Form):
    """A confirmation that asks for nothing but a yes."""


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that an operator does to objects one by one, and the words for it.

    `choices` are the boxes of its confirmation; `act` gets what is put into them by name, and as
    `by` who acts, where it `names_actor`."""

    name: str
    label: str
    done: str
    icon: str
    consequence: str
    act: Callable[..., object]
    permission: str
    offered_in: frozenset[str] = frozenset()
    deletes: bool = False
    choices: type[forms.Form] = NoChoices
    names_actor: bool = False


class OperationsMixin:
    """An admin whose list and pages have operations; its rows have a `status`."""

    operations: Sequence[Operation] = ()

    def badge_of(self, row: Any) -> SafeString:
        """The row's state as a badge, for the page that asks for a confirmation."""
        raise NotImplementedError

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Refuses an operation that the user may not run; Django would only ignore it."""
        asked = request.POST.get("action")
        for operation in self.operations:
            permitted = getattr(self, f"has_{operation.permission}_permission")
            if asked == list_action_name(operation) and not permitted(request):
                raise PermissionDenied
        return super().changelist_view(request, extra_context)  # type: ignore[misc]

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        """The buttons that make sense in the row's state; what they call decides in the end."""
        row = self.get_object(request, unquote(str(object_id)))  # type: ignore[attr-defined]
        if row is None:
            return []
        offered = {each.label for each in self.operations if row.status in each.offered_in}
        allowed = super().get_actions_detail(request, object_id)  # type: ignore[misc]
        known = {each.label for each in self.operations} - offered
        return [button for button in allowed if button.description not in known]


def list_action_name(operation: Operation) -> str:
    """The name by which a list knows the operation."""
    return f"{operation.name}_selected"


def list_action(operation: Operation) -> Callable[..., HttpResponse | None]:
    """The operation as an action of a list: first the question, then the deed."""

    def run(
        model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        is_confirmed = request.POST.get("confirm") == "yes"
        form = operation.choices(request.POST if is_confirmed else None)
        if not form.is_valid():
            return _question(model_admin, request, queryset, operation, form)
        perform(model_admin, request, queryset, operation, form)
        return None

    run.__name__ = list_action_name(operation)
    run.short_description = operation.label  # type: ignore[attr-defined]
    run.allowed_permissions = (operation.permission,)  # type: ignore[attr-defined]
    return run


def detail_action(operation: Operation) -> Any:
    """The operation as a button on an object's page, with a dialog that must be submitted."""

    def run(
        model_admin: Any, request: HttpRequest, form: forms.Form, object_id: str
    ) -> HttpResponse:
        row = model_admin.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        perform(model_admin, request, [row], operation, form)
        return go_to(request, page_of(model_admin.model, row.pk))

    run.__name__ = operation.name
    dialog = {
        "title": f"{operation.label}?",
        "description": operation.consequence,
        "form_class": dialog_form(operation.choices),
        "form_submit_text": f"Yes, {operation.label.lower()}",
    }
    return action(
        description=operation.label,
        icon=operation.icon,
        permissions=[operation.permission],
        url_path=operation.name.replace("_", "-"),
        dialog=dialog,
    )(run)


def dialog_form(choices: type[forms.Form]) -> type[BaseDialogForm]:
    """Those boxes in one of unfold's dialogs."""
    return type(choices.__name__, (choices, BaseDialogForm), {})


def perform(
    model_admin: ModelAdmin,
    request: HttpRequest,
    rows: Iterable[Model],
    operation: Operation,
    form: forms.Form,
) -> None:
    """Do it to each row, each in a transaction of its own, and tell what came of it.

    `form` holds the operation's choices, and is valid."""
    chosen = {name: form.cleaned_data[name] for name in operation.choices.base_fields}
    actor = {"by": request.user.get_username()} if operation.names_actor else {}
    done, passed_over = [], []
    for row in rows:
        name = Truncator(str(row)).chars(60)
        try:
            _act(request, row, operation, chosen, actor)
        except PolarisError as error:
            passed_over.append(f"{name} ({_clause(error.issue)})")
        else:
            done.append(name)
    noun = model_admin.opts.verbose_name if len(done) == 1 else model_admin.opts.verbose_name_plural
    if done:
        told = f"{operation.done} {len(done)} {noun}: {_named(done)}."
        model_admin.message_user(request, told, messages.SUCCESS)
    if passed_over:
        told = f"Passed over {len(passed_over)}: {_named(passed_over)}."
        model_admin.message_user(request, told, messages.WARNING)


@repeated
def _act(
    request: HttpRequest,
    row: Model,
    operation: Operation,
    chosen: dict[str, Any],
    actor: dict[str, str],
) -> None:
    with atomic():
        _record(request, row, operation, chosen)
        operation.act(row, **chosen, **actor)


def go_to(request: HttpRequest, path: str) -> HttpResponse:
    """Send the browser on, out of unfold's dialog (which htmx posts) as well as without it."""
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": path})
    return HttpResponseRedirect(path)


def _question(
    model_admin: Any,
    request: HttpRequest,
    queryset: QuerySet[Any],
    operation: Operation,
    form: forms.Form,
) -> HttpResponse:
    count = queryset.count()
    rows = list(queryset[:NAMED])
    chosen = request.POST.getlist(helpers.ACTION_CHECKBOX_NAME)
    select_across = request.POST.get("select_across") == "1"
    context = {
        **model_admin.admin_site.each_context(request),
        "title": f"{operation.label}?",
        "opts": model_admin.opts,
        "operation": operation,
        "form": form,
        "action": list_action_name(operation),
        "count": count,
        "rows": [(row, model_admin.badge_of(row)) for row in rows],
        "unnamed": count - len(rows),
        "checkbox": helpers.ACTION_CHECKBOX_NAME,
        # Where everything on all pages is meant, one box stands for all.
        "chosen": chosen[:1] if select_across else chosen,
        "select_across": int(select_across),
        "back": request.get_full_path(),
        "media": model_admin.media,
    }
    return TemplateResponse(request, "admin/confirm_operation.html", context)


def _record(
    request: HttpRequest, row: Model, operation: Operation, chosen: Mapping[str, object]
) -> None:
    flag = DELETION if operation.deletes else CHANGE
    actor: Any = request.user.pk
    LogEntry.objects.log_actions(
        actor, [row], flag, change_message=_in_words(operation, chosen), single_object=True
    )


def _in_words(operation: Operation, chosen: Mapping[str, object]) -> str:
    """What was done, for the history: `Cancel for good; Hang up`."""
    words = [operation.label]
    for name, value in chosen.items():
        label = str(operation.choices.base_fields[name].label)
        if value:
            words.append(label if value is True else f"{label}: {value}")
    return "; ".join(words)


def _named(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more:,} more" if more > 0 else "")


def _clause(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:].rstrip(".")
