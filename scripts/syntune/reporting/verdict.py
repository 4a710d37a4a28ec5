"""The verdict: what was found, in plain words, each sentence with the figures that it rests on."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from syntune import formats
from syntune.artifacts.comparison import ComparedRun
from syntune.artifacts.training_records import TrainingSummary
from syntune.reporting.records import Records
from syntune.settings.methods import METHODS

Level = Literal["good", "bad", "look", "note"]


@dataclass(frozen=True)
class Remark:
    """A sentence and what it means for the reader."""

    level: Level
    text: str


@dataclass(frozen=True)
class Outcome:
    """What a comparison shows, and how it is said of one run and of several."""

    level: Level
    one: str
    several: str


OUTCOMES = {
    "better": Outcome("good", "beats", "beat"),
    "worse": Outcome("bad", "is worse than", "are worse than"),
    "undecided": Outcome("note", "cannot be told apart from", "cannot be told apart from"),
    "unknown": Outcome("look", "has no interval beside", "have no interval beside"),
}


def what_was_run(records: Records) -> str:
    """The whole run of the workflow in two sentences."""
    rows = sum(manifest.rows_out or 0 for manifest in records.seeds)
    seeds = f"{formats.plural(len(records.seeds), 'seed')} ({formats.plural(rows, 'row')})"
    datasets, benchmarks = formats.plural(len(records.datasets), "dataset"), len(records.benchmarks)
    methods = Counter(_how(summary.method) for summary in records.summaries.values())
    if untrained := len(records.runs) - len(records.summaries):
        methods[_how("none")] += untrained
    told = [f"{formats.count(number)} {how}" for how, number in methods.items()]
    return (
        f"{datasets} came of {seeds}. {formats.plural(len(records.runs), 'run')} ({formats.listing(told)}) answered "
        f"{formats.plural(benchmarks, 'benchmark')}; {records.comparison.baseline} is the baseline run."
    )


def _how(method: str | None) -> str:
    """How a run of a method was trained."""
    return METHODS[method].told if method in METHODS else "trained in a way that is not recorded"


def headline(records: Records) -> list[Remark]:
    """The verdict in a few short sentences: one for each outcome, with the runs and the benchmarks that share it."""
    shared: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for run in records.runs:
        where: dict[str, list[str]] = {}
        for benchmark in records.benchmarks:
            if beside := records.comparison.beside_baseline(run, benchmark):
                where.setdefault(outcome(beside), []).append(benchmark)
        for found, benchmarks in where.items():
            shared.setdefault((found, tuple(benchmarks)), []).append(run)
    told = [
        Remark(OUTCOMES[found].level, _sentence(OUTCOMES[found], runs, records.comparison.baseline, benchmarks))
        for (found, benchmarks), runs in shared.items()
    ]
    sick = [run for run, summary in records.summaries.items() if summary.healthy is not True]
    if sick:
        told.append(Remark("bad", f"Training of {formats.listing(sick)} is not known to have been healthy."))
    elif records.summaries:
        told.append(Remark("good", "Training was healthy."))
    return told or [Remark("note", "No run was compared with another.")]


def _sentence(outcome: Outcome, runs: list[str], baseline: str, benchmarks: Sequence[str]) -> str:
    """``a and b beat base on open and choice.``"""
    verb = outcome.one if len(runs) == 1 else outcome.several
    return f"{formats.listing(runs)} {verb} {baseline} on {formats.listing(benchmarks)}."


def outcome(beside: ComparedRun) -> str:
    """What a difference shows: its interval lies above zero, below zero, or across it."""
    if beside.difference_interval is None:
        return "unknown"
    low, high = beside.difference_interval
    return "better" if low > 0 else "worse" if high < 0 else "undecided"


def health(records: Records) -> list[Remark]:
    """Whether training went well."""
    found = [remark for summary in records.summaries.values() for remark in _health_of(summary)]
    sick = {run for run, summary in records.summaries.items() if summary.healthy is not True}
    if not records.summaries:
        found.append(Remark("note", "No run was trained."))
    elif not sick:
        checks = [check for summary in records.summaries.values() for check in summary.verdicts]
        good = sum(passed(check.status) for check in checks)
        told = f"{formats.count(good)} of {formats.plural(len(checks), 'check')} passed"
        runs = formats.plural(len(records.summaries), "trained run")
        found.insert(0, Remark("good", f"Training was healthy: {runs}, {told}."))
    return found


def _health_of(summary: TrainingSummary) -> Iterator[Remark]:
    """What is not well with one run's training."""
    if summary.healthy is None:
        yield Remark("look", f"{summary.run}: whether training was healthy is not recorded.")
    elif not summary.healthy:
        yield Remark("bad", f"{summary.run}: training is not healthy.")
    for check in summary.verdicts:
        if not passed(check.status):
            level = "bad" if summary.healthy is False else "look"
            yield Remark(level, f"{summary.run}: {check.name} ({check.status}): {check.detail or 'no detail'}.")
    if summary.masked_rows:
        rows = formats.plural(summary.masked_rows, "row")
        yield Remark("look", f"{summary.run}: {rows} without a supervised token were dropped, not trained on.")


def passed(status: str) -> bool:
    """Whether a check's status says that all is well."""
    return status.lower() in {"ok", "pass", "passed", "good", "healthy"}


def cautions(records: Records) -> list[Remark]:
    """How far the error bars reach."""
    notes = [
        "Error bars are 95% intervals and cover the choice of questions only: with other questions of the same kind, "
        "this is how far the score would move."
    ]
    if records.summaries:
        seeds = sorted({str(seed) for summary in records.summaries.values() if (seed := _seed(summary)) is not None})
        with_seed = f", with seed {formats.listing(seeds)}" if seeds else ""
        notes.append(
            f"Each run was trained once{with_seed}. Another training seed moves the scores too, by an amount that one "
            "training cannot tell; repeat a run with other seeds before trusting a small difference."
        )
    return [Remark("note", note) for note in notes]


def _seed(summary: TrainingSummary) -> int | None:
    """The training seed of a run."""
    return summary.hyperparameters.get("random_seed")
