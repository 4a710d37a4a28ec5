"""Runs side by side: every run's score and its paired difference to the baseline run."""

from collections.abc import Sequence

from syntune.artifacts.comparison import ComparedBenchmark, ComparedRun, Comparison
from syntune.artifacts.scores import MajorityAnswer, Score
from syntune.benchmarks.names import listed
from syntune.benchmarks.statistics import paired_difference
from syntune.errors import UserError
from syntune.files import canonical_json


def compare_runs(scores: Sequence[Score], baseline: str) -> Comparison:
    """Each benchmark's runs beside the run ``baseline``, in the order of ``scores``.

    Raises:
        UserError: a benchmark has no score of the baseline run, or scores that don't compare.
    """
    by_benchmark: dict[str, list[Score]] = {}
    for score in scores:
        by_benchmark.setdefault(score.benchmark, []).append(score)
    compared = {name: _compare_benchmark(name, group, baseline) for name, group in by_benchmark.items()}
    return Comparison(baseline=baseline, benchmarks=compared)


def _compare_benchmark(name: str, scores: list[Score], baseline: str) -> ComparedBenchmark:
    """One benchmark's runs beside the baseline run."""
    beside = next((score for score in scores if score.run == baseline), None)
    if beside is None:
        runs = listed(score.run for score in scores)
        raise UserError(f"{name}: there is no score of the baseline run '{baseline}' (runs: {runs})")
    for score in scores:
        _check_comparable(score, beside)
    return ComparedBenchmark(
        label=beside.metadata.label,
        metric=beside.primary,
        n=beside.main.n,
        clusters=beside.main.clusters,
        clustered_by=beside.metadata.clusters,
        questions_in_benchmark=beside.metadata.questions_in_benchmark,
        majority=MajorityAnswer(majority=beside.baseline.majority, answer=beside.baseline.answer),
        runs={score.run: _compared(score, None if score is beside else beside) for score in scores},
    )


def _check_comparable(score: Score, beside: Score) -> None:
    """Refuse to compare answers to different questions, or answers that were decoded differently."""
    where = f"{score.benchmark}: runs '{score.run}' and '{beside.run}'"
    if [row[0] for row in score.questions] != [row[0] for row in beside.questions]:
        raise UserError(f"{where} answered different questions; predict and score both again")
    for key in ("label", "questions_hash"):
        if getattr(score.metadata, key) != getattr(beside.metadata, key):
            raise UserError(f"{where} differ in {key}, so their scores don't compare; predict and score both again")
    one, other = score.metadata.decoding, beside.metadata.decoding
    if one != other:
        raise UserError(
            f"{where} were decoded differently ({canonical_json(one)} and {canonical_json(other)}), so their scores "
            "don't compare; predict and score both again with the same max_new_tokens and gpus"
        )


def _compared(score: Score, beside: Score | None) -> ComparedRun:
    """A run's score and, unless it is the baseline run itself, its paired difference to it."""
    main = score.main.model_dump(include={"value", "stderr", "interval"})
    if beside is None:
        return ComparedRun(**main)
    _, values, clusters = zip(*score.questions, strict=True)
    found = paired_difference(values, [value for _, value, _ in beside.questions], clusters)
    return ComparedRun(
        **main,
        difference=found.value,
        difference_stderr=found.stderr,
        difference_interval=found.interval,
        p_value=found.p_value,
        questions_needed=found.questions_needed,
        detectable_difference=found.detectable,
    )
