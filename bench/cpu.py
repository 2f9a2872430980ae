"""The processor time of processes, as Linux counts it: steadier than a clock."""

import os
from pathlib import Path

import psycopg

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, in user and in system mode."""
    # The second field, a name in brackets, may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def database_seconds(url: str) -> dict[int, float]:
    """What each server process of a PostgreSQL database on this machine has used so far, but for
    the one that is asked."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        ).fetchall()
    return {pid: cpu_seconds(pid) for (pid,) in found if Path(f"/proc/{pid}").exists()}
