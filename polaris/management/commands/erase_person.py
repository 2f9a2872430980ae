"""Erases a person by number."""

import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from polaris.masking import mask_phone
from polaris.privacy.erasure import erase_person
from polaris.privacy.spelling import numbers_meant


class Command(BaseCommand):
    """Without --yes it only tells what it would do."""

    help = "Erases whatever is kept of a phone number, and cancels what is armed for it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "number", help="with + and the country code; - reads it from standard input"
        )
        parser.add_argument("--yes", action="store_true", help="do it, instead of only counting")
        parser.add_argument(
            "--hang-up", action="store_true", help="end a call that is being talked, too"
        )

    def handle(self, *args: Any, number: str, yes: bool, hang_up: bool, **options: Any) -> None:
        meant = _read(sys.stdin.readline() if number == "-" else number)
        erased = erase_person(meant, hang_up=hang_up, dry_run=not yes)
        self.stdout.write(f"{mask_phone(meant)}:" if yes else f"{mask_phone(meant)} would lose:")
        for kind, count in erased.counts.items():
            self.stdout.write(f"  {kind}: {count:,}")
        if erased.left:
            raise CommandError("\n".join([*erased.left, "Run this again then."]))
        if not yes:
            self.stdout.write("Nothing was changed: add --yes to do it.")


def _read(text: str) -> str:
    text = text.strip()
    meant = numbers_meant(text) if text.startswith(("+", "00")) else []
    if not meant:
        raise CommandError("The number is written with + and its country code.")
    return meant[0]
