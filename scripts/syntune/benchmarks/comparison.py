"""Runs side by side: every run's score and its paired difference to the baseline run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from syntune.benchmarks.inputs import listed, read_json_file
from syntune.benchmarks.protocol import QuestionId
from syntune.benchmarks.statistics import paired_difference
from syntune.errors import UserError
from syntune.files import canonical_json
from syntune.settings.reading import read_settings


class Metric(BaseModel):
    """A metric of a score file."""

    value: float
    stderr: float | None
    interval: tuple[float, float] | None
    n: int
    clusters: int


class Baseline(BaseModel):
    """What the most frequent answer alone scores."""

    majority: float
    answer: str


class Score(BaseModel):
    """A score file, as far as it is compared."""

    run: str
    benchmark: str
    metrics: dict[str, Metric]
    primary: str
    questions: list[tuple[QuestionId, float, QuestionId]]
    baseline: Baseline
    metadata: dict[str, Any]

    @property
    def main(self) -> Metric:
        """The primary metric."""
        return self.metrics[self.primary]


def read_score(path: str | Path) -> Score:
    """Read a score file."""
    return read_settings(read_json_file(path), Score, str(path))


def compare_runs(scores: Sequence[Score], baseline: str) -> dict[str, Any]:
    """Each benchmark's runs beside the run ``baseline``, in the order of ``scores``; shares of 1."""
    benchmarks: dict[str, list[Score]] = {}
    for score in scores:
        benchmarks.setdefault(score.benchmark, []).append(score)
    return {
        "baseline": baseline,
        "benchmarks": {name: _compare_benchmark(name, of, baseline) for name, of in benchmarks.items()},
    }


def _compare_benchmark(name: str, scores: list[Score], baseline: str) -> dict[str, Any]:
    """One benchmark's runs beside the baseline run."""
    beside = next((score for score in scores if score.run == baseline), None)
    if beside is None:
        raise UserError(f"{name}: there is no score of the baseline run '{baseline}' (runs: {listed(_runs(scores))})")
    for score in scores:
        _check_comparable(score, beside)
    main = beside.main
    return {
        "label": beside.metadata.get("label", name),
        "metric": beside.primary,
        "n": main.n,
        "clusters": main.clusters,
        "clustered_by": beside.metadata.get("clusters", "clusters"),
        "questions_in_benchmark": beside.metadata.get("questions_in_benchmark", main.n),
        "majority": beside.baseline.model_dump(),
        "runs": {score.run: _beside(score, None if score is beside else beside) for score in scores},
    }


def _runs(scores: list[Score]) -> list[str]:
    """The runs' names."""
    return [score.run for score in scores]


def _check_comparable(score: Score, beside: Score) -> None:
    """Refuse to compare answers to different questions, or answers that were decoded differently."""
    where = f"{score.benchmark}: runs '{score.run}' and '{beside.run}'"
    if [row[0] for row in score.questions] != [row[0] for row in beside.questions]:
        raise UserError(f"{where} answered different questions; predict and score both again")
    for key in ("label", "questions_hash"):
        if score.metadata.get(key) != beside.metadata.get(key):
            raise UserError(f"{where} differ in {key}, so their scores don't compare; predict and score both again")
    one, other = (of.metadata.get("decoding") for of in (score, beside))
    if one != other:
        raise UserError(
            f"{where} were decoded differently ({canonical_json(one)} and {canonical_json(other)}), so their scores "
            "don't compare; predict and score both again with the same max_new_tokens and gpus"
        )


def _beside(score: Score, beside: Score | None) -> dict[str, Any]:
    """A run's score and, unless it is the baseline run itself, its paired difference to it."""
    main = score.main
    row = {"value": main.value, "stderr": main.stderr, "interval": main.interval}
    if beside is None:
        return row
    _, values, clusters = zip(*score.questions, strict=True)
    found = paired_difference(values, [value for _, value, _ in beside.questions], clusters)
    return row | {
        "difference": found.value,
        "difference_stderr": found.stderr,
        "difference_interval": found.interval,
        "p_value": found.p_value,
        "questions_needed": found.questions_needed,
        "detectable_difference": found.detectable,
    }
