from django.apps import AppConfig


class SchedulesConfig(AppConfig):
    """When should we call?"""

    name = "schedules"
    verbose_name = "Schedules"
