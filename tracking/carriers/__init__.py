"""Carriers: back ends that place calls, chosen by the setting CARRIER."""

from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from tracking.carriers.base import Carrier


@cache
def get_carrier() -> Carrier:
    """The carrier of this process, shared by its threads."""
    carrier: Carrier = import_string(settings.CARRIER)()
    return carrier
