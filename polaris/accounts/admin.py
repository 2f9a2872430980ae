"""The pages about agents' grants, and about who has tried to sign in."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from unfold.admin import TabularInline
from unfold.decorators import display

from polaris.accounts import grants
from polaris.accounts.models import AgentGrant, SignIn
from polaris.admin_site import (
    NOTHING,
    DaysFilter,
    PolarisAdmin,
    ReadOnlyAdmin,
    badge,
    scheduler_zone,
)
from polaris.admin_words import moment_in_words

_COLOURS = {
    SignIn.Outcome.SIGNED_IN: "success",
    SignIn.Outcome.REFUSED: "warning",
    SignIn.Outcome.MADE_TO_WAIT: "danger",
}

# What is kept of tokens tells an operator nothing.
admin.site.unregister([OutstandingToken, BlacklistedToken])


class AgentGrantInline(TabularInline):
    """On an account's page: given and withdrawn, never changed."""

    model = AgentGrant
    fk_name = "user"
    fields = ["agent_instance_id", "granted_by", "granted_at"]
    readonly_fields = ["granted_by", "granted_at"]
    extra = 0
    verbose_name = "agent instance"
    verbose_name_plural = "agent instances that the account may act for"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def save_grants(request: HttpRequest, formset: Any) -> None:
    """What an operator has written on an account's page."""
    for each in formset.save(commit=False):
        grants.grant(
            user=each.user, agent_instance_id=each.agent_instance_id, granted_by=request.user
        )
    for each in formset.deleted_objects:
        grants.withdraw(user=each.user, agent_instance_id=each.agent_instance_id)


@admin.register(AgentGrant)
class AgentGrantAdmin(PolarisAdmin):
    """Which accounts may act for which agent instances."""

    list_display = ["agent_instance_id", "user", "granted_by", "granted"]
    list_select_related = ["user", "granted_by"]
    search_fields = ["agent_instance_id", "user__username"]
    fields = ["user", "agent_instance_id", "granted_by", "granted"]
    readonly_fields = ["granted_by", "granted"]
    autocomplete_fields = ["user"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: AgentGrant, form: Any, change: Any) -> None:
        given = grants.grant(
            user=obj.user, agent_instance_id=obj.agent_instance_id, granted_by=request.user
        )
        obj.pk = given.pk

    def delete_model(self, request: HttpRequest, obj: AgentGrant) -> None:
        grants.withdraw(user=obj.user, agent_instance_id=obj.agent_instance_id)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[AgentGrant]) -> None:
        for each in queryset.select_related("user"):
            self.delete_model(request, each)

    @display(description="Granted", ordering="granted_at")
    def granted(self, grant: AgentGrant) -> str:
        return moment_in_words(grant.granted_at, scheduler_zone()) if grant.user_id else NOTHING


@admin.register(SignIn)
class SignInAdmin(ReadOnlyAdmin):
    """Who has tried to sign in, and how it ended."""

    list_display = ["when", "username", "address", "door", "result"]
    list_filter = ["outcome", "door", ("at", DaysFilter)]
    search_fields = ["username", "address"]
    fields = ["when", "username", "address", "door", "result"]

    @display(description="When", ordering="at")
    def when(self, sign_in: SignIn) -> str:
        return moment_in_words(sign_in.at, scheduler_zone())

    @display(description="How it ended", ordering="outcome")
    def result(self, sign_in: SignIn) -> SafeString:
        return badge(sign_in.get_outcome_display(), _COLOURS[SignIn.Outcome(sign_in.outcome)])
