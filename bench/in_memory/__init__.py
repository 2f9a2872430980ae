"""Polaris with the carrier in memory: what the engine itself costs, without HTTP."""
