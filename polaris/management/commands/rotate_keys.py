"""Seals everything with the newest key, while Polaris runs."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from polaris.privacy.fields import SealedField
from polaris.privacy.resealing import Outcome, fields_of, how_many_are_behind, reseal


class Command(BaseCommand):
    """Put a new key in front of ENCRYPTION_KEYS, restart the processes, run this to its end, and
    the older keys may go. Stopped at any moment it is simply run again."""

    help = (
        "Seals every stored number and text with the first of ENCRYPTION_KEYS, while Polaris runs. "
        "It may be stopped and run again at any time."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        left = how_many_are_behind()
        self.stdout.write(f"{left:,} values to seal with the newest key.")

        def tell(done: Outcome) -> None:
            nonlocal left
            left -= done.changed
            self.stdout.write(f"{max(left, 0):,} left")

        unreadable = 0
        for model, field in fields_of(SealedField):
            unreadable += reseal(model, field.attname, after_each=tell).unreadable
        behind = how_many_are_behind()
        if unreadable:
            raise CommandError(
                f"{unreadable:,} values are damaged, or sealed with a key that is not in "
                "ENCRYPTION_KEYS. They were left as they are: put the missing key back, then run "
                "this again."
            )
        if behind:
            raise CommandError(
                f"{behind:,} values were written with an older key meanwhile: restart every "
                "process with the new ENCRYPTION_KEYS, then run this again."
            )
        self.stdout.write("Everything is sealed with the newest key: the older ones may go.")
