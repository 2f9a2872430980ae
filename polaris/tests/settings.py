"""Settings of the test suite: no .env file, cheap passwords, the phone network in memory."""

import atexit
import os
import shutil
import tempfile

os.environ["ENV_FILE"] = os.devnull
os.environ.setdefault("SECRET_KEY", "a key of the suite, long enough for every check of its length")
# Open secrets of the suite's own.
os.environ.setdefault("ENCRYPTION_KEYS", "c2V2ZW50ZWVuIGJyb3duIG93bHMgaW4gYSBiYXJuIGU")
os.environ.setdefault("LOOKUP_KEYS", "bGlvbnMgYW5kIHRpZ2VycyBhbmQgYmVhcnMsIG9oIG0")
os.environ.update(
    DEBUG="false",
    HTTPS_ONLY="false",
    TWILIO_ACCOUNT_SID="AC" + "0" * 32,
    TWILIO_AUTH_TOKEN="the suite's own token",
    TWILIO_FROM_NUMBER="+15005550006",
    TWILIO_WEBHOOK_URL="https://polaris.example/webhook/call-status",
    CALLS_PER_SECOND="0",
    NOTIFY_WEBHOOK_PRIVATE="true",  # receivers of the suite listen on loopback
)

from polaris.settings import *  # noqa: F403
from polaris.settings import DATABASES

_folder = tempfile.mkdtemp(prefix="polaris-test-")
atexit.register(shutil.rmtree, _folder, ignore_errors=True)

STATIC_ROOT = _folder
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
CARRIER = "tracking.carriers.memory.MemoryCarrier"
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True  # looked for when asked for: each test has a handler of its own

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A file, so that live servers and runner processes see the rows; one of this run's own.
    DATABASES["default"]["TEST"] = {"NAME": f"{_folder}/test.sqlite3"}
