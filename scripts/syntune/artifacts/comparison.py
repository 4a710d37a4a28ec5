"""The comparison file: every run's score, and pairs of runs compared. Scores and differences are shares of 1."""

from syntune.artifacts.schema import Artifact, Schema
from syntune.artifacts.scores import Interval, MajorityAnswer


class ComparedRun(Schema):
    """A run's score on a benchmark, the mean over its trainings.

    Attributes:
        value: the primary metric.
        stderr: its standard error, over questions and, with several trainings, over trainings.
        interval: its 95% interval, over the same.
        trainings: each training's score, by its name.
        spread: standard deviation between the trainings' scores; None where there is one.
        spread_interval: its 95% interval, for normal scores.
    """

    value: float
    stderr: float | None
    interval: Interval | None
    trainings: dict[str, float] = {}
    spread: float | None = None
    spread_interval: Interval | None = None


class ComparedDifference(Schema):
    """A run's mean difference to another, question by question.

    Attributes:
        run: the one.
        beside: the other, whose score is subtracted.
        difference: the mean difference.
        stderr: its standard error, over questions and, for runs with several trainings, over trainings.
        interval: its 95% interval, over the same.
        p_value: of a two-sided test.
        questions_needed: questions at which these trainings would show a difference of this size; None where none do.
        detectable_difference: the smallest difference that the questions and trainings show.
        trained_once: runs of which one side alone saw a single training: the interval doesn't cover what another
            training of theirs would change.
    """

    run: str
    beside: str
    difference: float
    stderr: float | None
    interval: Interval | None
    p_value: float | None
    questions_needed: int | None
    detectable_difference: float | None
    trained_once: list[str]


class ComparedBenchmark(Schema):
    """A benchmark's runs side by side.

    Attributes:
        label: the protocol in a few words.
        metric: the primary metric's name.
        n: scores of a training.
        clusters: groups of scores that are not independent.
        clustered_by: what the questions of a cluster share, in the plural.
        questions_in_benchmark: scores that all questions would come to.
        majority: what the most frequent answer alone scores.
        runs: every run of which each training is scored, by name.
        differences: of each pair of these that is compared.
    """

    label: str
    metric: str
    n: int
    clusters: int
    clustered_by: str
    questions_in_benchmark: int
    majority: MajorityAnswer
    runs: dict[str, ComparedRun]
    differences: list[ComparedDifference]

    def differences_of(self, run: str) -> list[ComparedDifference]:
        """The differences of ``run`` to others."""
        return [difference for difference in self.differences if difference.run == run]


class Comparison(Artifact):
    """The whole file.

    Attributes:
        baseline: the run that all others are compared with; None where nothing was compared.
        trainings: each run's trainings by name, its own first.
        benchmarks: by name; those on which no run is scored are not among them.
        not_scored: why single trainings are not scored, by benchmark and training.
    """

    baseline: str | None
    trainings: dict[str, list[str]]
    benchmarks: dict[str, ComparedBenchmark]
    not_scored: dict[str, dict[str, str]] = {}

    def run_of(self, training: str) -> str:
        """The run that a training belongs to."""
        return next((run for run, names in self.trainings.items() if training in names), training)
