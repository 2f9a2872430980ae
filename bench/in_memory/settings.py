"""Polaris's settings but for the carrier."""

from polaris.settings import *  # noqa: F403

CARRIER = "tracking.carriers.memory.MemoryCarrier"
