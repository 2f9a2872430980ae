"""Hashes every number anew, while nobody dials."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from polaris.privacy.lookup_rotation import CannotRotate, rotate
from polaris.privacy.resealing import Outcome


class Command(BaseCommand):
    """Stop every runner, put a new key in front of LOOKUP_KEYS, run this, start them again."""

    help = (
        "Hashes every number with the first of LOOKUP_KEYS. Every runner must be stopped, since "
        "one line per number holds by these hashes. It may be stopped and run again at any time; "
        "nothing is dialled until it has come to its end."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        total = Outcome()

        def tell(done: Outcome) -> None:
            total.add(done)
            self.stdout.write(f"{total.changed:,} numbers hashed")

        try:
            rotate(after_each=tell)
        except CannotRotate as error:
            raise CommandError(str(error)) from error
        self.stdout.write("Every number is hashed with the newest key: the older one may go.")
