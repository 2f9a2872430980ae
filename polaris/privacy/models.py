"""Which look-up key the rows are hashed under."""

from django.db import models


class LookupState(models.Model):
    """One row: the name of the look-up key in use, and of the one that a rotation moves to.

    Numbers hashed under two keys at once could have two live calls: nobody dials unless this
    names his own key."""

    NUMBERS = "numbers"

    id = models.CharField(primary_key=True, max_length=16, default=NUMBERS, editable=False)
    key = models.CharField(max_length=8, help_text="The name of the key in use")
    moving_to = models.CharField(
        max_length=8, blank=True, default="", help_text="The name of the key that replaces it"
    )

    class Meta:
        db_table = "lookup_state"
        default_permissions = ()
        permissions = [("reveal_numbers", "Can reveal phone numbers")]

    def __str__(self) -> str:
        return self.key
