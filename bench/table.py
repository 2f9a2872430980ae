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
    return f"## drain: {found['calls']} calls due at once\n\n{table(heads, rows)}"


def _lateness(found: dict[str, Any]) -> str:
    rows = [
        [
            each["title"],
            *(_spread(each[name], "{:.1f}") for name in ("p50", "p99", "max")),
            _spread(each["p99_to_best_peer"], "{:.2f}"),
            *_counts(each),
            each["settings"],
        ]
        for each in _best_first(found["contenders"].values(), lambda each: each["p99"]["median"])
    ]
    heads = [
        "contender", "p50, ms", "p99, ms", "max, ms", "p99 of the best peer's", "lost", "twice",
        "rows missing", "set up as",
    ]  # fmt: skip
    title = f"## lateness: {found['calls']} calls, {found['per_second']} a second"
    return f"{title}\n\n{table(heads, rows)}"


def _runners(found: dict[str, Any]) -> str:
    rows = [
        [
            count,
            _spread(each["rate"], "{:.0f}"),
            _spread(each["to_one"], "{:.2f}"),
            *(_spread(each[name], "{:.1f}") for name in ("p50", "p99", "max")),
            *_counts(each),
        ]
        for count, each in found["runners"].items()
    ]
    heads = [
        "runners", "drain, calls/s", "of one runner's", "lateness p50, ms", "p99, ms", "max, ms",
        "lost", "twice", "rows missing",
    ]  # fmt: skip
    title = f"## runners: {found['calls']} calls due at once, and {found['per_second']} a second"
    return f"{title}\n\n{table(heads, rows)}"


def _claims(found: dict[str, Any]) -> str:
    names = [
        "rate", "python_ms", "database_ms", "claim_ms", "open_ms", "dial_ms", "record_ms",
    ]  # fmt: skip
    rows = [
        [name, *(_spread(each.get(of), "{:.0f}" if of == "rate" else "{:.2f}") for of in names)]
        for name, each in found["ways"].items()
    ]
    heads = [
        "who", "occurrences/s", "Python, ms of a core each", "PostgreSQL, ms of a core each",
        "claim, ms each", "open the ledger", "carrier in memory", "write the answer",
    ]  # fmt: skip
    title = (
        f"## claims: {found['occurrences']:,} due occurrences, {found['recurring']:,} of them of "
        "daily schedules, claimed and dealt with; carrier in memory"
    )
    checked = "\n".join(f"- checked: {what}" for what in found["checked"])
    return f"{title}\n\n{table(heads, rows)}\n\n{checked}"


def _costs(found: dict[str, Any]) -> str:
    rows = [
        [name, _spread(each, "{:.2f}" if each["high"] < 100 else "{:.0f}")]
        for name, each in found["figures"].items()
    ]
    title = (
        f"## costs: {found['calls']} calls by one runner, {found['webhooks_a_call']} webhooks each "
        "to one web process, PostgreSQL"
    )
    return f"{title}\n\n{table(['what', 'figure, each'], rows)}"


def _day(found: dict[str, Any]) -> str:
    took, before, after = found["seconds"], found["sizes_before"], found["sizes_after"]
    rows = [
        ["calls a second at most (CALLS_PER_SECOND)", f"{found['pace']:,}"],
        ["claimed, in claims", f"{found['claimed']:,} in {found['claims']:,}"],
        ["claimed and settled a second", f"{found['claimed_per_second']:,.0f}"],
        ["decided", _counted(found["decided"])],
        ["outcomes", _counted(found["outcomes"])],
        ["peak backlog at a full minute", f"{found['peak_backlog']:,} at {found['peak_at']}"],
        ["minutes that began with a backlog", f"{found['minutes_with_backlog']:,} of 1,441"],
        ["a schedule's row, with its indexes", _bytes_each(before["call_schedules"])],
        ["the same after the day", _bytes_each(after["call_schedules"])],
        ["an armed row, with its indexes", _bytes_each(before["active_schedules"])],
        ["database before, GB", f"{before['database_bytes'] / 1e9:.2f}"],
        ["database after, GB", f"{after['database_bytes'] / 1e9:.2f}"],
        *[[f"seconds: {each}", f"{took[each]:.0f}"] for each in ("rows", "day", "checks")],
        ["patterns listed over the day, a second", f"{found['rules_per_second']:,.0f}"],
        ["memory of the claiming process, MiB", f"{found['memory_mib']:.0f}"],
        *[[f"found: {what}", f"{count}"] for what, count in found["violations"].items()],
    ]
    return f"## day: {found['schedules']:,} schedules\n\n{table(['what', 'figure'], rows)}"


def _counted(found: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in found.items())


def _bytes_each(size: dict[str, int]) -> str:
    return f"{(size['table_bytes'] + size['index_bytes']) / max(1, size['rows']):.0f} bytes"


def _waiting(found: dict[str, Any]) -> str:
    few, many = found["waiting"]
    rows = [
        [f"{few:,} waiting", *_of_waiting(found["few"])],
        [f"{many:,} waiting", *_of_waiting(found["many"])],
        [
            "many to few",
            *(_spread(found["many_to_few"][name], "{:.2f}") for name in ("rate", "p50", "p99")),
            *[""] * 5,
        ],
    ]
    heads = [
        "Polaris with", "drain, calls/s", "lateness p50, ms", "p99, ms",
        "memory of all runners, first third, MiB", "last third", "last to first", "lost", "twice",
    ]  # fmt: skip
    return f"## waiting: does it matter how many schedules wait?\n\n{table(heads, rows)}"


def _of_waiting(found: dict[str, Spread]) -> list[str]:
    forms = {
        "rate": "{:.0f}", "p50": "{:.1f}", "p99": "{:.1f}", "memory_first": "{:.1f}",
        "memory_last": "{:.1f}", "memory_growth": "{:.3f}", "lost": "{:.0f}", "twice": "{:.0f}",
    }  # fmt: skip
    return [_spread(found[name], form) for name, form in forms.items()]


def _waking(found: dict[str, Any]) -> str:
    rows = [
        [f"every {poll} s", *(_spread(each[name], "{:.1f}") for name in ("p50", "p99", "max"))]
        for poll, each in found["polls"].items()
    ]
    title = (
        f"## waking: {found['calls']} calls, armed when they are due, {found['runners']} runners"
    )
    return f"{title}\n\n{table(['polled', 'p50, ms', 'p99, ms', 'max, ms'], rows)}"


def _web(found: dict[str, Any]) -> str:
    rows = [
        [title, when, f"{times['p50']:.1f}", f"{times['p99']:.1f}", f"{times['requests']}"]
        for name, title in {"polaris": "`POST /schedule/`", "barest": "barest view"}.items()
        for when, times in found["times"][name].items()
    ]
    shown = table(["view", "while the runners", "p50, ms", "p99, ms", "requests"], rows)
    return "\n".join(
        [
            f"## web: one row by HTTP, idle and during a burst of {found['burst_of']} calls",
            "",
            shown.replace("| burst |", "| drain the burst |"),
            "",
            f"- Idle, `POST /schedule/` to the barest view: p50 **{found['p50_to_barest']:.2f}**, "
            f"p99 {found['p99_to_barest']:.2f}",
            f"- p99 during the burst to idle: `POST /schedule/` "
            f"**{found['p99_burst_to_idle']:.2f}**, barest view "
            f"{found['barest_p99_burst_to_idle']:.2f}",
        ]
    )


def _webhooks(found: dict[str, Any]) -> str:
    rows = [
        [name, _spread(one["rate"], "{:.0f}"), str(one["not_204"]), str(one["not_completed"])]
        for name, one in found["databases"].items()
    ]
    title = (
        f"## webhooks: {found['webhooks']} signed callbacks by {found['clients']} clients at one "
        "web process"
    )
    heads = ["database", "webhooks/s", "not answered 204", "calls not completed by them"]
    return f"{title}\n\n{table(heads, rows)}"


def _stats(found: dict[str, Any]) -> str:
    rows = [
        [
            title,
            f"{one['calls_counted']:,}",
            *(f"{one[name]:.3f}" for name in ("cold", "warm_p50", "warm_max")),
        ]
        for title, one in found["askers"].items()
    ]
    heads = ["asked by", "calls counted", "cold, s", "warm p50, s", "warm max, s"]
    return f"## stats: {found['logs']:,} logs on PostgreSQL\n\n{table(heads, rows)}"


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


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


_TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "drain": _drain,
    "lateness": _lateness,
    "runners": _runners,
    "claims": _claims,
    "costs": _costs,
    "waiting": _waiting,
    "waking": _waking,
    "web": _web,
    "webhooks": _webhooks,
    "stats": _stats,
    "day": _day,
}
