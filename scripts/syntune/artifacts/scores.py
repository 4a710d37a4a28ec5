"""A score file: a run's score on a benchmark, with error bars, or why there is none. Scores are shares of 1."""

from pathlib import Path
from typing import Any

from pydantic import ConfigDict, model_validator

from syntune.artifacts.questions import QuestionId
from syntune.artifacts.reading import read_json_file
from syntune.artifacts.remaking import remake
from syntune.artifacts.schema import Artifact, Schema

Interval = tuple[float, float]
"""The ends of a 95% interval."""


class Estimate(Schema):
    """A mean of scores; error and interval are None where one cluster alone cannot tell.

    Attributes:
        value: the mean.
        stderr: its standard error, clustered.
        interval: its 95% interval.
        n: scores.
        clusters: groups of scores that are not independent.
    """

    value: float
    stderr: float | None
    interval: Interval | None
    n: int
    clusters: int


class RemainingEstimate(Schema):
    """The primary metric without contaminated questions; value, error and interval are None where none is left.

    ``left_out`` counts the scores that are left out; the other fields are those of :class:`Estimate`.
    """

    left_out: int
    value: float | None
    stderr: float | None
    interval: Interval | None
    n: int
    clusters: int


class UncontaminatedScore(Schema):
    """A run's score without the questions in its training data.

    Attributes:
        datasets: what the run is trained on.
        without: by the kind of contamination: ``text``, ``image`` or ``both``.
    """

    datasets: list[str]
    without: dict[str, RemainingEstimate]


class CategoryScore(Schema):
    """The mean and number of the scores in a category."""

    value: float
    n: int


class MajorityAnswer(Schema):
    """The most frequent reference answer, and what it scores as the answer to everything (primary metric)."""

    majority: float
    answer: str


class MajorityScores(MajorityAnswer):
    """The same with all metrics."""

    metrics: dict[str, float]


class ScoreMetadata(Schema):
    """What a reader of a score must know; a protocol adds fields of its own.

    Attributes:
        label: the protocol in a few words.
        clusters: what the questions of a cluster share, in the plural.
        questions_in_benchmark: scores that all questions would come to.
        answers: predictions that were scored.
        adapter: content hash of the chain of checkpoints that answered.
        questions_hash: content hash of the benchmark.
        decoding: how the answers were decoded.
    """

    model_config = ConfigDict(extra="allow")

    label: str
    clusters: str
    questions_in_benchmark: int
    answers: int
    adapter: str | None
    questions_hash: str | None
    decoding: dict[str, Any] | None


class Score(Artifact):
    """The whole file.

    Attributes:
        run: the run's name.
        benchmark: the benchmark's name.
        protocol: the protocol's name.
        metrics: every metric by name.
        primary: the metric that stands for the benchmark.
        questions: for each question that has a score of its own its id, its score in the primary metric, its cluster.
        breakdown: scores by category, and counts of answers and of unusual questions, by their kind.
        contamination: the score without contaminated questions; None for a run that trains on nothing.
        baseline: what needs no look at any image.
        metadata: what a reader must know.
    """

    run: str
    benchmark: str
    protocol: str
    metrics: dict[str, Estimate]
    primary: str
    questions: list[tuple[QuestionId, float, QuestionId]]
    breakdown: dict[str, dict[str, CategoryScore | int]]
    contamination: UncontaminatedScore | None
    baseline: MajorityScores
    metadata: ScoreMetadata

    @model_validator(mode="after")
    def _has_primary(self) -> "Score":
        """The primary metric is one of the metrics."""
        if self.primary not in self.metrics:
            raise ValueError(f"primary: there is no metric '{self.primary}'")
        return self

    @property
    def main(self) -> Estimate:
        """The primary metric."""
        return self.metrics[self.primary]


def is_right(score: float | None) -> bool | None:
    """Whether an answer counts as right where it can only be right or wrong; None of one without a score."""
    return None if score is None else score > 0.5


class NotScored(Artifact):
    """The whole file where a run's answers were not scored; the workflow goes on, and the report says why.

    Attributes:
        run: the run's name.
        benchmark: the benchmark's name.
        protocol: the protocol's name.
        label: the protocol in a few words.
        not_scored: why, with the first questions concerned, and what to do.
    """

    run: str
    benchmark: str
    protocol: str
    label: str
    not_scored: str


def read_score(path: str | Path) -> Score | NotScored:
    """Read a score file.

    Raises:
        UserError: it is missing or malformed.
    """
    content = read_json_file(path, dict[str, Any], remake(path))
    return read_json_file(path, NotScored if "not_scored" in content else Score, remake(path))
