from importlib import import_module

from django.apps import AppConfig


class TrackingConfig(AppConfig):
    """What happened to the call?"""

    name = "tracking"
    verbose_name = "Calls"

    def ready(self) -> None:
        """Let the outbox hear of events, and have its settings checked."""
        import_module("tracking.notifications.outbox")
        import_module("tracking.notifications.checks")
