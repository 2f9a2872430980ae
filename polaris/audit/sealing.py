"""Seals the audit: gives entries their place in a chain of hashes, so that nothing is altered,
taken out or put in between without a trace.

Done by housekeeping and not by who writes, so that writers never wait for each other. An entry has
no place until it is sealed, so one whose transaction commits late, after younger ones were sealed,
is simply found by the next turn and gets the next number.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any

from django.db import connection

from polaris.audit.models import CONTENT, AuditChain, AuditEntry, unguarded
from polaris.database import atomic, is_mongodb
from polaris.moments import show_utc
from polaris.repeating import repeated

logger = logging.getLogger(__name__)

AT_ONCE = 1000


class SealedMeanwhile(Exception):
    """Somebody else has moved the chain on; nothing of this turn is kept."""


def seal() -> int:
    """Seal what waits, the oldest first; says how many entries that were."""
    sealed = 0
    while count := seal_batch():
        sealed += count
        if count < AT_ONCE:
            break
    return sealed


@repeated
def seal_batch() -> int:
    """Seal at most AT_ONCE entries in one transaction. Raises SealedMeanwhile."""
    with atomic():
        chain = locked_chain()
        waiting = AuditEntry.objects.filter(sequence=None).order_by("id")
        entries = list(waiting.values_list(*CONTENT)[:AT_ONCE])
        if not entries:
            return 0
        places, sequence, last = [], chain.sequence, chain.hash
        for content in entries:
            sequence += 1
            last = hash_of(last, sequence, content)
            places.append((sequence, last, content[0]))
        move_chain(chain, sequence=sequence, hash=last)
        if _place(places) != len(places):
            raise SealedMeanwhile("an entry has got its place meanwhile")
    return len(places)


def hash_of(previous: str, sequence: int, content: Sequence[Any]) -> str:
    """The hash of an entry at its place: of the one before it, the number, and what it says, in
    the order of CONTENT."""
    its_id, moment, *rest = content
    said = json.dumps([previous, sequence, its_id, show_utc(moment), *rest], separators=(",", ":"))
    return hashlib.sha256(said.encode()).hexdigest()


def locked_chain() -> AuditChain:
    """The chain's row, locked where the database can, until the transaction ends."""
    rows = AuditChain.objects.select_for_update().filter(pk=AuditChain.THE_CHAIN)
    chain = rows.first()
    if chain is None:
        AuditChain.objects.get_or_create(pk=AuditChain.THE_CHAIN)
        chain = rows.get()
    return chain


def move_chain(chain: AuditChain, **to: Any) -> None:
    """Compare-and-set, for databases that did not lock it. Raises SealedMeanwhile."""
    as_read = AuditChain.objects.filter(
        pk=chain.pk, sequence=chain.sequence, pruned_sequence=chain.pruned_sequence
    )
    if not as_read.update(**to):
        raise SealedMeanwhile("the chain has been moved on meanwhile")


def _place(places: Sequence[tuple[int, str, str]]) -> int:
    """Write the numbers and hashes; says how many entries had none yet."""
    if is_mongodb():
        waiting = unguarded().filter(sequence=None)
        return sum(
            waiting.filter(pk=key).update(sequence=sequence, hash=its_hash)
            for sequence, its_hash, key in places
        )
    table = AuditEntry._meta.db_table
    with connection.cursor() as cursor:
        cursor.executemany(
            f'UPDATE "{table}" SET "sequence" = %s, "hash" = %s '  # noqa: S608 (our own names)
            'WHERE "id" = %s AND "sequence" IS NULL',
            places,
        )
        return int(cursor.rowcount)
