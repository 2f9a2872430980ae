"""Medians, ranges and percentiles."""

import math
import statistics
from collections.abc import Sequence
from typing import TypedDict


class Spread(TypedDict):
    """A figure over several rounds."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """The median and the range."""
    return Spread(median=statistics.median(values), low=min(values), high=max(values))


def percentile(values: Sequence[float], per_cent: float) -> float:
    """The nearest-rank percentile."""
    ordered = sorted(values) or [math.inf]
    return ordered[max(0, math.ceil(per_cent / 100 * len(ordered)) - 1)]


def ratios(values: Sequence[float], to: Sequence[float]) -> Spread:
    """Of each round's value to the other's of the same round: what noise leaves alone."""
    return spread([value / other for value, other in zip(values, to, strict=True)])
