"""`python -m polaris.tests.mongodb_at_hand`: whether MONGODB_URL answers and can do what we need.

Says in one line why not, and ends with 1. For bin/test, before anything is run."""

import os
import sys

import django
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection


def main() -> None:
    """Connect once."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "polaris.tests.settings"
    try:
        django.setup()
        connection.ensure_connection()
    except ImproperlyConfigured as error:
        sys.exit(f"bin/test: {error}")
    except OperationalError as error:
        sys.exit(f"bin/test: no MongoDB answers: {error}")


if __name__ == "__main__":
    main()
