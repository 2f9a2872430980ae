"""Runs the comparisons: `bench/run --help`."""

import argparse
import json
import shutil
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import redis

from bench.conditions import conditions
from bench.contenders import CONTENDERS
from bench.contenders.polaris_runners import PolarisRunners
from bench.databases import Server
from bench.judge import carrier
from bench.measures import MEASURES, ON_REQUEST
from bench.plot import draw
from bench.processes import HOME, Failed, Processes
from bench.table import to_markdown
from bench.trial import Bench


def main() -> int:
    """Measure what was asked for and write it down."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: told to stop"))
    options = _read_options()
    try:
        server = Server(options.database)
        try:
            _run(options, server)
        finally:
            server.drop_all()
    except (Failed, psycopg.OperationalError, redis.RedisError) as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace, server: Server) -> None:
    _require_empty(options.redis)
    PolarisRunners.set_up(runners=options.runners, workers=options.workers)
    logs = HOME / "var" / "bench" / "logs"
    shutil.rmtree(logs, ignore_errors=True)
    processes = Processes(logs)
    with carrier(processes) as judge:
        bench = Bench(
            processes=processes,
            server=server,
            redis_url=options.redis,
            judge=judge,
            results=_fresh_folder(options.results),
            contenders=[CONTENDERS[name] for name in options.only],
            calls=options.calls,
            rounds=options.rounds,
            schedules=options.schedules,
        )
        _measure(bench, options)


def _measure(bench: Bench, options: argparse.Namespace) -> None:
    found = {"conditions": conditions(bench.server, bench.redis_url, _shown(options))}
    for name in options.measures:
        print(f"{name}:", flush=True)
        found[name] = MEASURES[name](bench)
        # After each, so that a run that is cut short leaves what it has found.
        _write(found, bench.results)
    print((bench.results / "table.md").read_text())
    print(f"Written to {bench.results}")


def _write(found: dict[str, object], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(found, indent=1) + "\n")
    (folder / "table.md").write_text(to_markdown(found))
    draw(found, folder / "plot.png")


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    parser.add_argument("measures", nargs="*", help=f"any of {' '.join(MEASURES)} (all but day)")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (3)")
    parser.add_argument("--calls", type=int, default=1000, help="calls due at once (1000)")
    parser.add_argument(
        "--schedules", type=int, default=10_000_000, help="of the day that is replayed (10000000)"
    )
    parser.add_argument("--only", default="", help=f"some of {','.join(CONTENDERS)}")
    parser.add_argument("--runners", type=int, default=2, help="Polaris's runner processes (2)")
    parser.add_argument("--workers", type=int, default=64, help="SCHEDULER_WORKERS of each (64)")
    parser.add_argument("--database", default="postgres://postgres@127.0.0.1:5432/postgres")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/15", help="an empty database")
    parser.add_argument("--results", type=Path, default=HOME / "bench" / "results")
    options = parser.parse_args()
    options.measures = options.measures or [each for each in MEASURES if each not in ON_REQUEST]
    options.only = options.only.split(",") if options.only else list(CONTENDERS)
    unknown = [*({*options.measures} - {*MEASURES}), *({*options.only} - {*CONTENDERS})]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    return options


def _shown(options: argparse.Namespace) -> dict[str, object]:
    names = ("rounds", "calls", "runners", "workers", "only")
    return {name: getattr(options, name) for name in names}


def _require_empty(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as broker:
        if broker.dbsize():
            raise Failed(f"{redis_url} is not empty; name another database with --redis")


def _fresh_folder(results: Path) -> Path:
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    names = (today if turn == 1 else f"{today}-{turn}" for turn in range(1, 1000))
    return next(results / name for name in names if not (results / name).exists())


if __name__ == "__main__":
    sys.exit(main())
