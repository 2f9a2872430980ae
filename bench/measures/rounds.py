"""Interleaved rounds: every contender once, then every contender again."""

from bench.contenders.base import Contender
from bench.figures import percentile
from bench.processes import Failed
from bench.trial import Bench, Trial, run_trial


def interleaved(
    bench: Bench, offsets: list[float], *, rounds: int
) -> dict[type[Contender], list[Trial]]:
    """Every contender's trials, one a round."""
    trials: dict[type[Contender], list[Trial]] = {each: [] for each in bench.contenders}
    for turn in range(rounds):
        for contender in bench.contenders:
            trial = run_trial(bench, contender, offsets)
            trials[contender].append(trial)
            _tell(turn, contender, trial)
            _refuse_broken(contender, trial)
    return trials


def counts(contender: type[Contender], trials: list[Trial]) -> dict[str, object]:
    """What must be true of every trial, and how the contender was set up."""
    return {
        "title": contender.title,
        "is_peer": contender.is_peer,
        "settings": contender.settings,
        "load_averages": [round(trial.load_average, 2) for trial in trials],
        "lost": sum(trial.verdict.lost for trial in trials),
        "twice": sum(trial.verdict.twice for trial in trials),
        "rows_missing": sum(trial.rows_missing for trial in trials) if contender.rows else None,
    }


def _refuse_broken(contender: type[Contender], trial: Trial) -> None:
    """A peer may lose calls, and the table says so; figures of ours would be worth nothing."""
    verdict = trial.verdict
    if not contender.is_peer and (verdict.lost or verdict.twice or trial.rows_missing):
        raise Failed(f"{contender.title} has lost calls, or placed one twice: see above")


def _tell(turn: int, contender: type[Contender], trial: Trial) -> None:
    verdict = trial.verdict
    rows = "" if trial.written_after is None else f", last row after {trial.written_after:.2f} s"
    late = [1000 * percentile(trial.lateness, per_cent) for per_cent in (50, 99)]
    print(
        f"  round {turn + 1}, {contender.title}: last of {len(verdict.arrived)} calls after "
        f"{trial.drained_after:.2f} s ({trial.rate:.0f}/s){rows}; late by {late[0]:.0f} ms (p50), "
        f"{late[1]:.0f} ms (p99); {verdict.lost} lost, {verdict.twice} twice, "
        f"{trial.rows_missing or 0} rows missing",
        flush=True,
    )
