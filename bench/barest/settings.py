"""Polaris's settings, and one more view."""

from polaris.settings import *  # noqa: F403
from polaris.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "bench.barest"]
ROOT_URLCONF = "bench.barest.urls"
