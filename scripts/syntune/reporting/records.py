"""What the report is made of: the files that the other stages left, read and checked, and nothing else.

Fields that a stage did not record are ``None`` and the page says so; a file that is missing or malformed is a
:class:`UserError` naming file and line.
"""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from syntune.artifacts.manifests import Manifest, read_manifest
from syntune.errors import UserError


class Record(BaseModel):
    """A record of another stage; what the report does not know is kept, not refused."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Step(Record):
    """One optimizer step: a line of metrics.jsonl."""

    step: int
    epoch: float | None = None
    loss: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    samples: int | None = None
    tokens: int | None = None
    supervised_tokens: int | None = None
    seconds: float | None = None
    samples_per_second: float | None = None
    tokens_per_second: float | None = None
    memory_gib: float | None = None


class Check(Record):
    """One health check of a training run."""

    name: str
    status: str
    detail: str = ""


class Parameters(Record):
    """Numbers of parameters."""

    total: int | None = None
    trainable: int | None = None
    lora: int | None = None
    beside_lora: int | None = None


class Memory(Record):
    """Peak memory and what was measured."""

    peak_gib: float | None = None
    kind: str | None = None


class Summary(Record):
    """summary.json of a trained run."""

    run: str
    method: str | None = None
    steps: int | None = None
    epochs: float | None = None
    rows: int | None = None
    masked_rows: int | None = None
    seconds: float | None = None
    samples_per_second: float | None = None
    tokens_per_second: float | None = None
    first_loss: float | None = None
    final_loss: float | None = None
    parameters: Parameters = Parameters()
    memory: Memory = Memory()
    device: str | None = None
    precision: str | None = None
    attention: str | None = None
    verdicts: list[Check] = []
    healthy: bool | None = None
    hyperparameters: dict[str, Any] = {}
    resumed_from: int | str | None = None


class Metric(Record):
    """A metric of a run on a benchmark; shares of 1."""

    value: float
    stderr: float | None = None
    interval: tuple[float, float] | None = None
    n: int | None = None
    clusters: int | None = None


class ScoreWithout(Record):
    """The primary metric without contaminated questions; the value is None where none is left."""

    left_out: int
    value: float | None = None
    interval: tuple[float, float] | None = None
    n: int | None = None


class Uncontaminated(Record):
    """A run's score without the questions in its training data, by the kind of contamination."""

    datasets: list[str]
    without: dict[str, ScoreWithout]


class Score(Record):
    """scores/RUN/BENCHMARK.json."""

    run: str
    benchmark: str
    protocol: str
    metrics: dict[str, Metric]
    primary: str
    questions: list[list[Any]] = []
    breakdown: dict[str, Any] = {}
    contamination: Uncontaminated | None = None
    baseline: dict[str, Any] = {}
    metadata: dict[str, Any] = {}

    @property
    def main(self) -> Metric:
        """The primary metric."""
        return self.metrics[self.primary]

    @property
    def majority(self) -> float | None:
        """The score of always giving the most frequent answer, without looking at the image."""
        return self.baseline.get("majority")


class Prediction(Record):
    """One line of a prediction file."""

    question_id: str | int
    prompt: str
    text: str
    answer: str | None = None
    tokens: int | None = None
    adapter: str | None = None
    benchmark: str | None = None
    decoding: dict[str, Any] | None = None


class Difference(Record):
    """A run beside the baseline run on one benchmark; shares of 1."""

    difference: float | None = None
    difference_interval: tuple[float, float] | None = None
    p_value: float | None = None
    questions_needed: int | None = None
    detectable_difference: float | None = None


class Sighting(Record):
    """A benchmark's question, and the training row that holds it; the bits that differ, where images are near."""

    question_id: str | int
    question: str
    row: str
    distance: int | None = None


class Contamination(Record):
    """A benchmark's questions that were found in a dataset, counted; examples by kind."""

    questions: int
    text: int
    image_exact: int
    image_near: int
    both: int
    share: float
    examples: dict[str, list[Sighting]] = {}


class Search(Record):
    """contamination/DATASET.json."""

    dataset: str
    rows: int
    benchmarks: dict[str, Contamination]


class BenchmarkComparison(Record):
    """The runs beside the baseline run on one benchmark."""

    runs: dict[str, Difference]


class Comparison(Record):
    """scores/compare.json."""

    baseline: str
    benchmarks: dict[str, BenchmarkComparison]

    def difference(self, run: str, benchmark: str) -> Difference | None:
        """The paired difference of ``run`` and the baseline run; None where there is none."""
        beside = self.benchmarks.get(benchmark)
        found = beside.runs.get(run) if beside and run != self.baseline else None
        return found if found and found.difference is not None else None


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
    summaries: dict[str, Summary] = field(default_factory=dict)
    metrics: dict[str, list[Step]] = field(default_factory=dict)
    scores: dict[tuple[str, str], Score] = field(default_factory=dict)
    predictions: dict[tuple[str, str], list[Prediction]] = field(default_factory=dict)
    contamination: list[Search] = field(default_factory=list)
    timings: list[Timing] = field(default_factory=list)

    @property
    def runs(self) -> list[str]:
        """Every run: those that were scored, then those that were only trained."""
        return list(dict.fromkeys([*(run for run, _ in self.scores), *self.summaries]))

    @property
    def benchmarks(self) -> list[str]:
        """Every benchmark."""
        return list(dict.fromkeys(benchmark for _, benchmark in self.scores))


R = TypeVar("R", bound=Record)


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
    comparison: Path,
    contamination: Sequence[Path],
    timings: Sequence[Path],
) -> Records:
    """Read every file; ``summaries`` and ``metrics`` are parallel, predictions lie at ``RUN/BENCHMARK.jsonl``."""
    if len(summaries) != len(metrics):
        raise UserError(f"{len(summaries)} summaries but {len(metrics)} metrics files; give one of each for every run")
    summary_of = [_read_json(path, Summary) for path in summaries]
    score_of = [_read_score(path) for path in scores]
    return Records(
        comparison=_read_json(comparison, Comparison),
        seeds=[read_manifest(path) for path in seeds],
        syntheses=[read_manifest(path) for path in syntheses],
        datasets=[read_manifest(path) for path in datasets],
        models=[read_manifest(path) for path in models],
        trained=[read_manifest(path) for path in runs],
        summaries={summary.run: summary for summary in summary_of},
        metrics={summary.run: _read_lines(path, Step) for summary, path in zip(summary_of, metrics, strict=True)},
        scores={(score.run, score.benchmark): score for score in score_of},
        predictions={(path.parent.name, path.stem): _read_lines(path, Prediction) for path in predictions},
        contamination=[_read_json(path, Search) for path in contamination],
        timings=[_read_timing(path) for path in timings],
    )


def _read_score(path: Path) -> Score:
    """Read a score file and see that its primary metric is there."""
    score = _read_json(path, Score)
    if score.primary not in score.metrics:
        raise UserError(f"{path}: primary: there is no metric '{score.primary}'; delete the file and run again")
    return score


def _read_json(path: Path, of: type[R]) -> R:
    """Read one JSON file."""
    return _parse(_text(path), of, str(path))


def _read_lines(path: Path, of: type[R]) -> list[R]:
    """Read a JSON-lines file, blank lines skipped."""
    lines = enumerate(_text(path).split("\n"), start=1)
    return [_parse(line, of, f"{path}: line {number}") for number, line in lines if line.strip()]


def _text(path: Path) -> str:
    """The text of a file."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run snakemake to make it") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text; delete it and run snakemake again") from error


def _parse(text: str, of: type[R], where: str) -> R:
    """Parse one JSON object; NaN and infinities, which a failing run leaves, are read as they are."""
    advice = "delete the file and run snakemake again"
    try:
        return of.model_validate(json.loads(text))
    except json.JSONDecodeError as error:
        raise UserError(f"{where}: not JSON ({error.msg}); {advice}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the object"
        raise UserError(f"{where}: {key}: {first['msg']}; {advice}") from error


def _read_timing(path: Path) -> Timing:
    """Read ``RULE/JOB.tsv``: a header and a line for each repeat; memory in MiB; NA or - where nothing was measured."""
    rows = list(csv.DictReader(_text(path).splitlines(), delimiter="\t"))
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
