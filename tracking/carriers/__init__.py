"""Carriers: back ends that place calls, chosen by the setting CARRIER."""

from datetime import timedelta
from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from tracking.carriers.base import Carrier


@cache
def get_carrier() -> Carrier:
    """The carrier of this process, shared by its threads."""
    carrier: Carrier = import_string(settings.CARRIER)()
    return carrier


def answered_within() -> timedelta:
    """The longest that an answer to a create is waited for."""
    return timedelta(seconds=settings.TWILIO_CONNECT_TIMEOUT + settings.TWILIO_READ_TIMEOUT)
