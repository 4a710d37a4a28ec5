"""The comparison file: every run's score beside the baseline run's. Scores and differences are shares of 1."""

from syntune.artifacts.schema import Schema
from syntune.artifacts.scores import Interval, MajorityAnswer


class ComparedRun(Schema):
    """A run's score on a benchmark and its paired difference to the baseline run, which itself has none.

    Attributes:
        value: the primary metric.
        stderr: its standard error.
        interval: its 95% interval.
        difference: the mean paired difference.
        difference_stderr: its standard error.
        difference_interval: its 95% interval.
        p_value: of a two-sided test.
        questions_needed: questions at which a difference of this size would be seen; None where there is none.
        detectable_difference: the smallest difference that the questions show.
    """

    value: float
    stderr: float | None
    interval: Interval | None
    difference: float | None = None
    difference_stderr: float | None = None
    difference_interval: Interval | None = None
    p_value: float | None = None
    questions_needed: int | None = None
    detectable_difference: float | None = None


class ComparedBenchmark(Schema):
    """A benchmark's runs side by side.

    Attributes:
        label: the protocol in a few words.
        metric: the primary metric's name.
        n: scores.
        clusters: groups of scores that are not independent.
        clustered_by: what the questions of a cluster share, in the plural.
        questions_in_benchmark: scores that all questions would come to.
        majority: what the most frequent answer alone scores.
        runs: every run by name.
    """

    label: str
    metric: str
    n: int
    clusters: int
    clustered_by: str
    questions_in_benchmark: int
    majority: MajorityAnswer
    runs: dict[str, ComparedRun]


class Comparison(Schema):
    """The whole file; ``baseline`` is the run that the others are compared with."""

    baseline: str
    benchmarks: dict[str, ComparedBenchmark]

    def beside_baseline(self, run: str, benchmark: str) -> ComparedRun | None:
        """``run`` with its difference to the baseline run; None where it has none."""
        compared = self.benchmarks.get(benchmark)
        found = compared.runs.get(run) if compared else None
        return found if found and found.difference is not None else None
