from importlib import import_module

from django.apps import AppConfig
from django.db.backends.signals import connection_created


class PolarisConfig(AppConfig):
    """What do all rooms share?"""

    name = "polaris"
    verbose_name = "Polaris"

    def ready(self) -> None:
        """Register the system checks, and let the audit hear what happens to accounts."""
        from polaris import checks  # noqa: F401, PLC0415
        from polaris.database import read_moments_quickly  # noqa: PLC0415

        connection_created.connect(read_moments_quickly, dispatch_uid="polaris.moments")
        import_module("polaris.audit.accounts").listen()
