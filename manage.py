#!/usr/bin/env python
"""Django's command line for Polaris."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError

from polaris.audit.acting import this_process_is
from polaris.database import in_one_line, is_out_of_reach


def main() -> None:
    """Run a command; a wrong setting ends it with one line."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "polaris.settings")
    this_process_is(f"command {' '.join(sys.argv[1:2])}"[:64].strip())
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"polaris: {error}")
    except OperationalError as error:
        reason = in_one_line(error)
        sys.exit(f"polaris: the database cannot be used: {reason} (manage.py migrate?)")
    except Exception as error:
        if not is_out_of_reach(error):
            raise
        sys.exit(f"polaris: the database is out of reach: {in_one_line(error)}")


if __name__ == "__main__":
    main()
