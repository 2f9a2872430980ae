"""`manage.py after_restore`: before the first runner starts on a restored database."""

import time
from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from polaris.masking import mask_phone
from polaris.moments import show_utc
from schedules import gate
from schedules.models import ActiveSchedule, Runner
from tracking import restoring
from tracking.restoring import CarrierSilent, Findings

_NAME = "after_restore"
_SHOWN = 50


class Command(BaseCommand):
    help = (
        "Run this on a database that was restored from a backup, before any runner starts on it. "
        "Stops all dialling, asks the carrier for the calls that were placed after the backup was "
        "taken, and sees to it that none of them is dialled again. May be repeated."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--since",
            type=_moment,
            help="When the backup was taken, or before: ISO 8601 with an offset. By default the "
            "last time at which a runner told, in the backup, that it ran.",
        )
        parser.add_argument(
            "--without-carrier",
            action="store_true",
            help="Do not ask the carrier: nothing that was due by now is dialled.",
        )
        parser.add_argument("--dial", action="store_true", help="Let dialling go on afterwards.")

    def handle(self, *_args: Any, **options: Any) -> None:
        self._close_the_gate()
        _require_no_runner()
        if options["without_carrier"]:
            findings = restoring.close_what_was_due()
        else:
            findings = self._ask_the_carrier(options["since"] or restoring.last_sign_of_life())
        self._tell(findings)
        if options["dial"]:
            _require_no_runner()
            gate.reopen(by=_NAME)
        self._tell_of_the_gate()

    def _close_the_gate(self) -> None:
        """One that an operator had closed stays his."""
        if gate.current().closed_by in {"", _NAME}:
            gate.close("A backup was restored: what was dialled since is found out.", by=_NAME)

    def _ask_the_carrier(self, since: datetime | None) -> Findings:
        if since is None:
            raise CommandError("No runner ever ran on this database: say --since.")
        patience = settings.UNKNOWN_LOOKUP_SECONDS + settings.TWILIO_READ_TIMEOUT
        self._say(
            f"Dialling is stopped. In {patience:.0f} s, since its list may lag, the carrier is "
            f"asked for its calls since {show_utc(since)}."
        )
        time.sleep(patience)
        _require_no_runner()
        try:
            return restoring.account_for_calls(since=since)
        except CarrierSilent as error:
            raise CommandError(
                "The carrier cannot be asked for its calls; dialling is stopped, and nothing else "
                "is changed. Repeat this, or say --without-carrier."
            ) from error

    def _tell(self, findings: Findings) -> None:
        self._say(f"{len(findings.taken_over)} calls were dialled after the backup, and are known.")
        self._say(f"{len(findings.closed)} calls may have been dialled, and are not dialled again.")
        for log in findings.closed[:_SHOWN]:
            self._say(f"  {log.pk} of {log.schedule_id}, due {show_utc(log.due_at)}")
        self._say(
            f"{len(findings.unexplained)} calls at the carrier are nobody's: asked for by hand, "
            "moved, or of schedules that were made after the backup."
        )
        for call in findings.unexplained[:_SHOWN]:
            made_at = show_utc(call.made_at or call.at)
            self._say(f"  {call.call_id} to {mask_phone(call.phone)} at {made_at}")

    def _tell_of_the_gate(self) -> None:
        ahead = ActiveSchedule.objects.exclude(next_execution=None).count()
        self._say(
            f"{ahead} calls are armed. What was cancelled, paused or changed after the backup"
        )
        self._say("is as it was before: docs/operations.md says how to find out.")
        state = gate.current()
        if state.closed_since:
            self._say(
                f"Dialling is stopped by {state.closed_by or 'the carrier'}: when all is well, "
                "“Dial again” on the dashboard, or this command with --dial before a runner is "
                "started, lets it go on."
            )
        else:
            self._say("Dialling goes on as soon as a runner is started.")

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _require_no_runner() -> None:
    """Raises CommandError while one may run: a heartbeat in the backup is young for a while."""
    alive = list(Runner.objects.alive(timezone.now()))
    if alive:
        names = ", ".join(str(runner) for runner in alive)
        silence = Runner.SILENCE.total_seconds()
        raise CommandError(
            f"A runner was heard of less than {silence:.0f} s ago ({names}). Dialling is stopped. "
            "Stop the runners, and repeat this then. If one has run on this database since it was "
            "restored, say --since, with the time of the backup."
        )


def _moment(text: str) -> datetime:
    moment = parse_datetime(text)
    if moment is None or moment.tzinfo is None:
        raise ArgumentTypeError(f"{text!r} is no moment with an offset: 2030-01-15T09:00:00Z")
    if moment > timezone.now():
        raise ArgumentTypeError(f"{text} is yet to come")
    return moment
