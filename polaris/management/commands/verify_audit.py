"""`manage.py verify_audit`: whether the audit is as it was written."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from polaris.audit.verifying import Checkpoint, Report, verify

_NAMED = 50


class Command(BaseCommand):
    help = (
        "Checks the chain of the audit: names each entry that was removed, altered, put in or "
        "moved, and then ends with 1. Prints a checkpoint to keep elsewhere."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """One option."""
        parser.add_argument(
            "--from",
            dest="since",
            metavar="CHECKPOINT",
            help="a checkpoint that was printed earlier and kept outside of the database: checks "
            "what came after it, and that it is still there",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what was found."""
        report = verify(_checkpoint(options["since"]))
        for problem in report.problems[:_NAMED]:
            self.stderr.write(problem)
        self._tell(report)
        if report.problems:
            raise CommandError(f"The audit is not as it was written: {len(report.problems)} found.")

    def _tell(self, report: Report) -> None:
        if len(report.problems) > _NAMED:
            self.stderr.write(f"and {len(report.problems) - _NAMED} more.")
        self.stdout.write(f"Entries that fit: {report.checked}.")
        self.stdout.write(f"Entries not yet sealed: {report.unsealed}.")
        if report.end and not report.problems:
            self.stdout.write(f"Checkpoint: {report.end}")


def _checkpoint(text: str | None) -> Checkpoint | None:
    try:
        return Checkpoint.parse(text) if text else None
    except ValueError as error:
        raise CommandError(str(error)) from error
