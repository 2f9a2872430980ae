"""The results as a picture."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes

_OURS, _LIMIT, _PEER = "#7c3aed", "#9ca3af", "#60a5fa"


def draw(results: dict[str, Any], file: Path) -> None:
    """One panel for each thing that was measured and has a picture."""
    panels = [(paint, results[name]) for name, paint in _PANELS.items() if name in results]
    if not panels:
        return
    figure, all_axes = pyplot.subplots(
        1, len(panels), figsize=(6 * len(panels), 4.5), squeeze=False, layout="constrained"
    )
    for axes, (paint, found) in zip(all_axes[0], panels, strict=True):
        paint(axes, found)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=130)
    pyplot.close(figure)


def _drain(axes: Axes, found: dict[str, Any]) -> None:
    each = sorted(found["contenders"].items(), key=lambda item: item[1]["rate"]["median"])
    names = [one["title"] for _, one in each]
    medians = [one["rate"]["median"] for _, one in each]
    below = [one["rate"]["median"] - one["rate"]["low"] for _, one in each]
    above = [one["rate"]["high"] - one["rate"]["median"] for _, one in each]
    colours = [_colour(name, one) for name, one in each]
    axes.barh(names, medians, xerr=[below, above], color=colours, capsize=3)
    axes.set_title(f"{found['calls']} calls due at once")
    axes.set_xlabel("calls a second, median and range")


def _lateness(axes: Axes, found: dict[str, Any]) -> None:
    each = sorted(found["contenders"].items(), key=lambda item: -item[1]["p99"]["median"])
    for place, (name, one) in enumerate(each):
        p50, p99 = one["p50"]["median"], one["p99"]["median"]
        axes.plot([p50, p99], [place, place], color=_colour(name, one), linewidth=3)
        axes.plot(p50, place, "o", color=_colour(name, one))
        axes.plot(p99, place, "|", color=_colour(name, one), markersize=14, markeredgewidth=3)
    axes.set_yticks(range(len(each)), [one["title"] for _, one in each])
    axes.set_xscale("log")
    axes.set_title(f"{found['calls']} calls, {found['per_second']} a second")
    axes.set_xlabel("ms late, p50 (dot) to p99 (bar), medians")


def _colour(name: str, one: dict[str, Any]) -> str:
    if name == "polaris":
        return _OURS
    return _PEER if one["is_peer"] else _LIMIT


_PANELS: dict[str, Callable[[Axes, dict[str, Any]], None]] = {
    "drain": _drain,
    "lateness": _lateness,
}
