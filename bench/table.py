"""The results as Markdown."""

from collections.abc import Callable, Sequence
from typing import Any

from bench.figures import Spread


def to_markdown(results: dict[str, Any]) -> str:
    """Conditions, then a table for each thing that was measured."""
    parts = ["# Results", _conditions(results["conditions"])]
    parts += [_TABLES[name](found) for name, found in results.items() if name in _TABLES]
    return "\n\n".join(parts) + "\n"


def _conditions(known: dict[str, Any]) -> str:
    database = known["postgresql"]
    versions = ", ".join(f"{name} {version}" for name, version in known["packages"].items())
    load = "/".join(f"{value:.2f}" for value in known["load_average"])
    changed = f" and {known['changed_files']} changed files" if known["changed_files"] else ""
    return "\n".join(
        [
            f"- {known['started_at']}, commit {known['commit']}{changed}",
            f"- {known['cores']} cores of {known['cpu']}, {known['memory']}; load at the start "
            f"{load}",
            f"- Python {known['python']}, PostgreSQL {database['server_version']} "
            f"(fsync {database['fsync']}, synchronous_commit {database['synchronous_commit']}, "
            f"shared_buffers {database['shared_buffers']}), Redis {known['redis']}",
            f"- {versions}",
            f"- options: {known['options']}",
        ]
    )


def _drain(found: dict[str, Any]) -> str:
    rows = [
        [
            each["title"],
            _spread(each["rate"], "{:.0f}"),
            _spread(each["to_bare"], "{:.2f}"),
            _spread(each["to_best_peer"], "{:.2f}"),
            _spread(each["written_after"], "{:.2f}"),
            *_counts(each),
            each["settings"],
        ]
        for each in _best_first(found["contenders"].values(), lambda each: -each["rate"]["median"])
    ]
    heads = [
        "contender", "calls/s", "of the bare loop", "of the best peer", "last row after, s",
        "lost", "twice", "rows missing", "set up as",
    ]  # fmt: skip
    return f"## drain: {found['calls']} calls due at once\n\n{_table(heads, rows)}"


def _counts(each: dict[str, Any]) -> list[str]:
    missing = each["rows_missing"]
    return [str(each["lost"]), str(each["twice"]), "" if missing is None else str(missing)]


def _best_first(found: Any, key: Callable[[Any], float]) -> list[Any]:
    return sorted(found, key=key)


def _spread(value: Spread | None, form: str) -> str:
    """The median, and the range in brackets."""
    if value is None:
        return ""
    median, low, high = (form.format(value[name]) for name in ("median", "low", "high"))
    return f"**{median}** ({low}-{high})"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_TABLES: dict[str, Callable[[dict[str, Any]], str]] = {"drain": _drain}
