"""Deletes what is older than the RETAIN_…_DAYS say."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from polaris.retention import count_too_old, prune


class Command(BaseCommand):
    """The runner does the same every six hours."""

    help = "Deletes what is older than the RETAIN_…_DAYS variables say, in small batches."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only count")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        found = count_too_old() if dry_run else prune()
        verb = "to delete" if dry_run else "deleted"
        for kind, count in found.items():
            self.stdout.write(f"{kind}: {count:,} {verb}")
