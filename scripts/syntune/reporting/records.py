"""What the report is made of: the files that the other stages left, read and checked, and nothing else.

Fields that a stage did not record are ``None`` and the page says so; a file that is missing or malformed is a
:class:`UserError` naming file and line.
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from syntune.artifacts.comparison import ComparedBenchmark, Comparison
from syntune.artifacts.findings import ExamplePictures, Findings
from syntune.artifacts.manifests import Manifest, read_manifest
from syntune.artifacts.plans import PLANNED, Foretold, PlannedRun
from syntune.artifacts.predictions import Prediction
from syntune.artifacts.reading import read_json_file, read_json_lines, read_text
from syntune.artifacts.remaking import remake
from syntune.artifacts.scores import NotScored, Score, read_score
from syntune.artifacts.training_records import StepMetrics, TrainingSummary
from syntune.errors import UserError

T = TypeVar("T")


@dataclass(frozen=True)
class Timing:
    """One job, as Snakemake's benchmark file has it; sums over repeats, peaks for memory."""

    rule: str
    job: str
    seconds: float | None
    cpu_seconds: float | None
    peak_bytes: float | None
    mean_load: float | None


@dataclass(frozen=True)
class Records:
    """Everything that the report tells, in the config's order."""

    comparison: Comparison
    seeds: list[Manifest] = field(default_factory=list)
    syntheses: list[Manifest] = field(default_factory=list)
    datasets: list[Manifest] = field(default_factory=list)
    models: list[Manifest] = field(default_factory=list)
    trained: list[Manifest] = field(default_factory=list)
    summaries: dict[str, TrainingSummary] = field(default_factory=dict)
    metrics: dict[str, list[StepMetrics]] = field(default_factory=dict)
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)
    unscored: dict[tuple[str, str], NotScored] = field(default_factory=dict)
    answered: list[tuple[str, str]] = field(default_factory=list)
    """Each training and benchmark that has a score file, with a score or without."""
    predictions: dict[tuple[str, str], list[Prediction]] = field(default_factory=dict)
    contamination: list[Findings] = field(default_factory=list)
    pictures: dict[str, ExamplePictures] = field(default_factory=dict)
    timings: list[Timing] = field(default_factory=list)
    planned: dict[str, PlannedRun] = field(default_factory=dict)
    """What was predicted of each training as it was cleared, where that is kept beside its checkpoint."""
    foretold: dict[str, Foretold] = field(default_factory=dict)
    """The same for the GPU that it ran on."""

    @property
    def trainings(self) -> list[str]:
        """Every training of every run: those that answered, then those that were only trained."""
        return list(dict.fromkeys([*(run for run, _ in self.answered), *self.summaries]))

    @property
    def runs(self) -> list[str]:
        """Every run, that is, the first training of each."""
        return list(dict.fromkeys(map(self.comparison.run_of, self.trainings)))

    def trainings_of(self, run: str) -> list[str]:
        """The trainings of a run."""
        return [training for training in self.trainings if self.comparison.run_of(training) == run]

    @property
    def benchmarks(self) -> list[str]:
        """Every benchmark."""
        return list(dict.fromkeys(benchmark for _, benchmark in self.answered))

    @property
    def compared(self) -> list[tuple[str, ComparedBenchmark]]:
        """Every benchmark that was compared."""
        found = self.comparison.benchmarks
        return [(benchmark, found[benchmark]) for benchmark in self.benchmarks if benchmark in found]

    def scores_of(self, run: str, benchmark: str) -> list[Score]:
        """The scores of a run's trainings on a benchmark; none where one of them has none."""
        pairs = [(training, benchmark) for training in self.trainings_of(run)]
        if any(pair in self.unscored for pair in pairs):  # the others would not stand for the run
            return []
        return [self.scores[pair] for pair in pairs if pair in self.scores]

    def scores_on(self, benchmark: str) -> list[Score]:
        """Every training's score on a benchmark."""
        return [score for score in self.scores.values() if score.benchmark == benchmark]


def read_records(
    *,
    seeds: Sequence[Path],
    syntheses: Sequence[Path],
    datasets: Sequence[Path],
    models: Sequence[Path],
    runs: Sequence[Path],
    summaries: Sequence[Path],
    metrics: Sequence[Path],
    scores: Sequence[Path],
    predictions: Sequence[Path],
    comparison: Path | None,
    contamination: Sequence[Path],
    pictures: Sequence[Path],
    timings: Sequence[Path],
    trainings: dict[str, list[str]] | None = None,
) -> Records:
    """Read every file; ``summaries`` and ``metrics`` are parallel, predictions lie at ``RUN/BENCHMARK.jsonl``.

    Where nothing was compared, ``trainings`` says which trainings are a run's.
    """
    if len(summaries) != len(metrics):
        raise UserError(f"{len(summaries)} summaries but {len(metrics)} metrics files; give one of each for every run")
    summarized = [read_json_file(path, TrainingSummary, remake(path)) for path in summaries]
    scored = [read_score(path) for path in scores]
    pictured = [read_json_file(path, ExamplePictures, remake(path)) for path in pictures]
    nothing = Comparison(baseline=None, trainings=trainings or {}, benchmarks={})
    return Records(
        comparison=read_json_file(comparison, Comparison, remake(comparison)) if comparison else nothing,
        seeds=[read_manifest(path) for path in seeds],
        syntheses=[read_manifest(path) for path in syntheses],
        datasets=[read_manifest(path) for path in datasets],
        models=[read_manifest(path) for path in models],
        trained=[read_manifest(path) for path in runs],
        summaries={summary.run: summary for summary in summarized},
        metrics={summary.run: _lines(path, StepMetrics) for summary, path in zip(summarized, metrics, strict=True)},
        planned={
            summary.run: read_json_file(planned, PlannedRun, remake(planned))
            for summary, path in zip(summarized, summaries, strict=True)
            if (planned := path.with_name(PLANNED)).is_file()
        },
        scores={(score.run, score.benchmark): score for score in scored if isinstance(score, Score)},
        unscored={(score.run, score.benchmark): score for score in scored if isinstance(score, NotScored)},
        answered=[(score.run, score.benchmark) for score in scored],
        predictions={(path.parent.name, path.stem): _lines(path, Prediction) for path in predictions},
        contamination=[read_json_file(path, Findings, remake(path)) for path in contamination],
        pictures={found.dataset: found for found in pictured},
        timings=[_read_timing(path) for path in timings],
    )


def _lines(path: Path, kind: type[T]) -> list[T]:
    """The values of a JSON-lines file."""
    return [value for _, value in read_json_lines(path, kind, remake(path))]


def _read_timing(path: Path) -> Timing:
    """Read ``RULE/JOB.tsv``: a header and a line for each repeat; memory in MiB; NA or - where nothing was measured."""
    rows = list(csv.DictReader(read_text(path, remake(path)).splitlines(), delimiter="\t"))
    if not rows or "s" not in rows[0]:
        raise UserError(f"{path}: not a benchmark file of Snakemake (no column 's'); delete it and run snakemake again")
    memory = _largest(_column(rows, "max_rss", path))
    return Timing(
        rule=path.parent.name,
        job=path.stem,
        seconds=_sum(_column(rows, "s", path)),
        cpu_seconds=_sum(_column(rows, "cpu_time", path)),
        peak_bytes=None if memory is None else memory * 2**20,
        mean_load=_largest(_column(rows, "mean_load", path)),
    )


def _column(rows: list[dict], name: str, path: Path) -> list[float]:
    """The numbers of a column."""
    try:
        return [float(row[name]) for row in rows if row.get(name) not in (None, "", "-", "NA")]
    except ValueError as error:
        raise UserError(f"{path}: column {name}: {error}; delete the file and run snakemake again") from error


def _sum(values: Iterable[float]) -> float | None:
    """The sum; None of nothing."""
    values = list(values)
    return sum(values) if values else None


def _largest(values: Iterable[float]) -> float | None:
    """The largest; None of nothing."""
    return max(values, default=None)
