"""Walks along the chain of the audit and names what does not fit."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db.models import Max

from polaris.audit.models import CONTENT, AuditChain, AuditEntry
from polaris.audit.sealing import hash_of

_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A place in the chain and its hash, as kept outside of the database: `1234:9f86d0…`."""

    sequence: int
    hash: str

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Raises ValueError."""
        sequence, _, its_hash = text.strip().partition(":")
        if not (sequence.isascii() and sequence.isdigit() and len(its_hash) == 64):
            raise ValueError("A checkpoint is a number, a colon and 64 hexadecimal digits.")
        return cls(int(sequence), its_hash.lower())

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"


@dataclass(slots=True)
class Report:
    """What was found: problems in words, how many entries fit, how many wait to be sealed."""

    problems: list[str] = field(default_factory=list)
    checked: int = 0
    unsealed: int = 0
    end: Checkpoint | None = None


@dataclass(slots=True)
class _At:
    """Where the walk has got to, and the hash that the next entry must follow."""

    sequence: int
    hash: str


def verify(since: Checkpoint | None = None) -> Report:
    """Check every sealed entry, or those after `since`. Changes nothing.

    May be done while entries are written, sealed and pruned."""
    report = Report()
    highest = AuditEntry.objects.aggregate(highest=Max("sequence"))["highest"] or 0
    chain = _chain()  # read after it: whoever seals writes both at once
    if highest > chain.sequence:
        report.problems.extend(_beyond(chain.sequence))
    at = _begin(report, chain, since)
    for row in _sealed(at.sequence, chain.sequence):
        _check(report, at, row[0], row[1], row[2:])
    if at.sequence < chain.sequence:
        report.problems.append(_missing(at.sequence + 1, chain.sequence, "at the end"))
    report.unsealed = AuditEntry.objects.filter(sequence=None).count()
    report.end = Checkpoint(chain.sequence, chain.hash) if chain.sequence else None
    if not report.problems and at.hash != chain.hash:
        report.problems.append("The chain's own row does not bear the hash of the last entry.")
    return report


def _begin(report: Report, chain: AuditChain, since: Checkpoint | None) -> _At:
    at = _At(chain.pruned_sequence, chain.pruned_hash)
    if chain.pruned_sequence:
        report.problems.extend(_before(chain))
    if since is None or since.sequence < chain.pruned_sequence:
        if since is not None:
            report.problems.append(
                f"The checkpoint {since} lies before what has been forgotten: entries up to "
                f"{chain.pruned_sequence} are gone. Take a newer one."
            )
        return at
    if _hash_at(since.sequence, at) != since.hash:
        report.problems.append(
            f"The checkpoint {since} is not in the chain: its entry was removed, or the chain has "
            "been written anew."
        )
        return at
    return _At(since.sequence, since.hash)


def _hash_at(sequence: int, beginning: _At) -> str:
    if sequence == beginning.sequence:
        return beginning.hash
    found = AuditEntry.objects.filter(sequence=sequence).values_list("hash", flat=True).first()
    return found or ""


def _check(report: Report, at: _At, sequence: int, its_hash: str, content: tuple) -> None:
    if sequence > at.sequence + 1:
        chain = _chain()
        if chain.pruned_sequence > at.sequence:  # it was pruned while we walked
            at.sequence, at.hash = chain.pruned_sequence, chain.pruned_hash
        if sequence > at.sequence + 1:
            report.problems.append(_missing(at.sequence + 1, sequence - 1, "in between"))
            at.sequence, at.hash = sequence, its_hash
            return
    if sequence <= at.sequence:
        return
    if hash_of(at.hash, sequence, content) != its_hash:
        report.problems.append(
            f"Entry {content[0]} at {sequence} does not fit its hash and its place: it was "
            "altered, put in or moved."
        )
    else:
        report.checked += 1
    at.sequence, at.hash = sequence, its_hash


def _sealed(after: int, last: int) -> Iterator[tuple]:
    """In the order of the chain, in pieces, for there may be millions."""
    while True:
        rows = AuditEntry.objects.filter(sequence__gt=after, sequence__lte=last)
        piece = list(rows.order_by("sequence").values_list("sequence", "hash", *CONTENT)[:_AT_ONCE])
        yield from piece
        if len(piece) < _AT_ONCE:
            return
        after = piece[-1][0]


def _chain() -> AuditChain:
    return AuditChain.objects.filter(pk=AuditChain.THE_CHAIN).first() or AuditChain()


def _beyond(last: int) -> Iterator[str]:
    rows = AuditEntry.objects.filter(sequence__gt=last).order_by("sequence")
    for key, sequence in rows.values_list("id", "sequence")[:_AT_ONCE]:
        yield f"Entry {key} at {sequence} lies beyond the chain's end, {last}: it was put in."


def _before(chain: AuditChain) -> Iterator[str]:
    rows = AuditEntry.objects.filter(sequence__lte=chain.pruned_sequence)
    for key, sequence in rows.values_list("id", "sequence")[:_AT_ONCE]:
        yield f"Entry {key} at {sequence} lies before the chain's beginning: it was put in."
    told = AuditEntry.objects.filter(verb="audit.prune", object_id=str(chain.pruned_sequence))
    if not any(chain.pruned_hash in changes for changes in told.values_list("changes", flat=True)):
        yield (
            f"No entry tells that entries up to {chain.pruned_sequence} were forgotten: they were "
            "removed."
        )


def _missing(first: int, last: int, where: str) -> str:
    if first == last:
        return f"Entry {first} is missing {where}: it was removed."
    return f"Entries {first} to {last} are missing {where}: they were removed."
