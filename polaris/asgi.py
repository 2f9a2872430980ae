"""The web process: API, admin and webhooks, under any ASGI server."""

import gc
import logging
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import django
from django.conf import settings
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "polaris.settings")
try:
    django.setup(set_prefix=False)
    from polaris.demo import look_at_start  # all of these need the settings
    from polaris.proxies import behind_proxies
    from polaris.web_processes import companions
    from polaris.web_workers import WebWorkers

    with ThreadPoolExecutor(1) as thread:  # the server's event loop runs in this one
        thread.submit(look_at_start).result()

    application = behind_proxies(WebWorkers(settings.WEB_WORKERS), settings.TRUSTED_PROXIES)
except ImproperlyConfigured as error:
    sys.exit(f"polaris: {error}")
for problem in run_checks():
    if problem.is_serious():  # management commands check by themselves, ASGI servers do not
        sys.exit(f"polaris: {problem.msg}")
    elif not problem.is_silenced():
        logging.getLogger("polaris").warning("%s %s", problem.msg, problem.hint or "")

# Of WhiteNoise's files; they are read in a worker's thread, as a whole.
warnings.filterwarnings("ignore", "StreamingHttpResponse must consume synchronous iterators")

companions.start()

# What is loaded by now stays for good: the collector need not look at it, nor so often at the rest.
gc.freeze()
gc.set_threshold(10_000, 20, 20)
