"""Forgets audit entries that are older than they are to be kept; the rest still verifies."""

from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from polaris.audit.models import AuditChain, AuditEntry, unguarded
from polaris.audit.recording import Act, record
from polaris.audit.sealing import locked_chain, move_chain
from polaris.database import atomic
from polaris.repeating import repeated

_AT_ONCE = 2000


def prune() -> int:
    """Forget what is older than AUDIT_KEPT_DAYS, from the chain's beginning on; says how many."""
    if not settings.AUDIT_KEPT_DAYS:
        return 0
    before = timezone.now() - timedelta(days=settings.AUDIT_KEPT_DAYS)
    forgotten = 0
    while count := prune_batch(before):
        forgotten += count
        if count < _AT_ONCE:
            break
    return forgotten


@repeated
def prune_batch(before: datetime) -> int:
    """Forget at most so many sealed entries, up to the first that happened at `before` or later.

    The chain then begins after the last of them, and an entry says so: a beginning that has been
    moved without one is found out."""
    with atomic():
        chain = locked_chain()
        rows = AuditEntry.objects.filter(sequence__gt=chain.pruned_sequence).order_by("sequence")
        old: list[tuple[int, str]] = []
        for sequence, its_hash, moment in rows.values_list("sequence", "hash", "happened_at")[
            :_AT_ONCE
        ]:
            if sequence is None or moment >= before:
                break
            old.append((sequence, its_hash))
        if not old:
            return 0
        last, its_hash = old[-1]
        move_chain(chain, pruned_sequence=last, pruned_hash=its_hash)
        unguarded().filter(sequence__lte=last).delete()
        record(_forgotten(chain, last, its_hash))
    return len(old)


def _forgotten(chain: AuditChain, last: int, its_hash: str) -> Act:
    return Act(
        "audit.prune",
        "audit",
        str(last),
        changes={
            "pruned_sequence": (chain.pruned_sequence, last),
            "pruned_hash": (chain.pruned_hash, its_hash),
        },
        reason=f"Older than {settings.AUDIT_KEPT_DAYS} days.",
    )
