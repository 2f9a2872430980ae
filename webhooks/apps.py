from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    """What does Twilio tell us?"""

    name = "webhooks"
    verbose_name = "Webhooks"
