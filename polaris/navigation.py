"""What stands in the admin's sidebar: each user sees the pages that the user may open."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

# Group, then model (as its permissions name it), title and icon.
_GROUPS: tuple[tuple[str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "Calling",
        (
            ("schedules.callschedule", "Schedules", "event_repeat"),
            ("schedules.activeschedule", "Active schedules", "alarm"),
            ("tracking.calllog", "Call logs", "call_log"),
            ("schedules.gate", "Gate", "block"),
        ),
    ),
    (
        "Messages",
        (
            ("webhooks.webhookevent", "Webhook events", "call_received"),
            ("tracking.notification", "Notifications", "notifications"),
        ),
    ),
    (
        "Housekeeping",
        (
            ("schedules.runner", "Runners", "directions_run"),
            ("polaris.webprocess", "Web processes", "dns"),
            ("django_apscheduler.djangojob", "Jobs", "cleaning_services"),
            ("django_apscheduler.djangojobexecution", "Job runs", "history"),
        ),
    ),
    (
        "Audit",
        (("polaris.auditentry", "Audit", "policy"),),
    ),
    (
        "Accounts",
        (
            ("auth.user", "Users", "person"),
            ("auth.group", "Groups", "group"),
            ("polaris.agentgrant", "Agent grants", "support_agent"),
            ("polaris.signin", "Sign-ins", "login"),
        ),
    ),
)


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of links for unfold (UNFOLD.SIDEBAR.navigation names this function)."""
    dashboard = {"title": "Dashboard", "icon": "dashboard", "link": reverse("admin:index")}
    groups = [(title, _links(request, models)) for title, models in _GROUPS]
    return [
        {"items": [dashboard]},
        *({"title": title, "separator": True, "items": items} for title, items in groups if items),
    ]


def _links(request: HttpRequest, models: tuple[tuple[str, str, str], ...]) -> list[dict[str, Any]]:
    return [
        {"title": title, "icon": icon, "link": _list_of(model)}
        for model, title, icon in models
        if _may_view(request, model)
    ]


def _may_view(request: HttpRequest, model: str) -> bool:
    app, name = model.split(".")
    return any(request.user.has_perm(f"{app}.{verb}_{name}") for verb in ("view", "change"))


def _list_of(model: str) -> str:
    return reverse(f"admin:{model.replace('.', '_')}_changelist")
