"""One table, without an index beside its key."""

from django.db import models


class Wish(models.Model):
    """A call that somebody wishes for. bench.measures.web makes its table."""

    phone = models.CharField(max_length=16)
    scheduled_time = models.CharField(max_length=32)

    class Meta:
        managed = False
        db_table = "bench_wishes"

    def __str__(self) -> str:
        return self.phone
