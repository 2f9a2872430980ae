"""The web process: API, admin and webhooks, under any ASGI server."""

import gc
import os
import sys

import django
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "polaris.settings")
try:
    django.setup(set_prefix=False)
    from polaris.web_workers import WebWorkers  # needs the settings

    application = WebWorkers(settings.WEB_WORKERS)
except ImproperlyConfigured as error:
    sys.exit(f"polaris: {error}")
for problem in run_checks():
    if problem.is_serious():  # management commands check by themselves, ASGI servers do not
        sys.exit(f"polaris: {problem.msg}")

# What is loaded by now stays for good: the collector need not look at it, nor so often at the rest.
gc.freeze()
gc.set_threshold(10_000, 20, 20)
