"""Phone numbers on the operators' pages: masked, found by the whole number, revealed one by one."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib.admin.utils import unquote
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from unfold.decorators import action, display

from polaris.admin_site import page_of
from polaris.errors import Unreadable
from polaris.masking import masked_number
from polaris.privacy.reveal import may_reveal, record_reveal
from polaris.privacy.sealing import lookups_of
from polaris.privacy.spelling import numbers_meant


class SearchedByNumber:
    """A list whose search finds a whole number, however it is written; parts find nothing."""

    lookup_path: ClassVar[str] = "phone_lookup"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """What the words find, and the rows of the number that they may be."""
        found, may_have_duplicates = super().get_search_results(  # type: ignore[misc]
            request, queryset, search_term
        )
        hashes = [
            each
            for number in numbers_meant(search_term, region_of=settings.TWILIO_FROM_NUMBER)
            for each in lookups_of(number)
        ]
        if hashes:
            found = found | queryset.filter(Q(**{f"{self.lookup_path}__in": hashes}))
        return found, may_have_duplicates


class RevealsNumbers:
    """An admin whose pages mask numbers, and show one whole after a deliberate POST."""

    @display(description="Phone")
    def masked_phone(self, row: Any) -> str:
        """Never whole, also where it cannot be read."""
        return masked_number(row)

    def has_reveal_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the user may see whole numbers, one at a time."""
        return may_reveal(request.user)

    def revealed(self, row: Any) -> str:
        """What is shown whole."""
        return str(row.phone)

    def _opened(self, row: Model) -> str:
        try:
            return self.revealed(row)
        except Unreadable as error:
            return error.issue

    @action(
        description="Reveal the number",
        icon="visibility",
        permissions=["reveal"],
        url_path="reveal",
    )
    def reveal(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks first; what is posted is written down, then answered with the number."""
        model_admin: Any = self
        row: Model | None = model_admin.get_object(request, unquote(object_id))
        if row is None or not model_admin.has_view_permission(request, row):
            raise Http404
        shown = ""
        if request.method == "POST":
            record_reveal(actor=request.user, subject=row)
            shown = self._opened(row)
        context = {
            **model_admin.admin_site.each_context(request),
            "title": "Reveal the number?" if not shown else "The number",
            "opts": model_admin.opts,
            "row": row,
            "shown": shown,
            "back": page_of(model_admin.model, str(row.pk)),
        }
        answer = TemplateResponse(request, "admin/reveal_number.html", context)
        answer["Cache-Control"] = "no-store"
        return answer
