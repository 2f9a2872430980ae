"""Figures for Prometheus, all of them read from the database: the same from every process."""
