from importlib import import_module

from django.apps import AppConfig


class PolarisConfig(AppConfig):
    """What do all rooms share?"""

    name = "polaris"
    verbose_name = "Polaris"

    def ready(self) -> None:
        """Register the system checks, and let the audit hear what happens to accounts."""
        from polaris import checks  # noqa: F401, PLC0415

        import_module("polaris.audit.accounts").listen()
