"""Runs side by side: every run's score over its trainings, and the paired differences of runs."""

from collections.abc import Mapping, Sequence

from syntune.artifacts.comparison import ComparedBenchmark, ComparedDifference, ComparedRun, Comparison
from syntune.artifacts.scores import MajorityAnswer, NotScored, Score
from syntune.benchmarks.names import listed
from syntune.benchmarks.statistics import mean_over_trainings, paired_difference, spread, spread_interval
from syntune.errors import UserError
from syntune.files import canonical_json
from syntune.settings.comparisons import ComparedPair

Trainings = Mapping[str, Sequence[str]]
"""Each run's trainings by name."""


def compare_runs(
    scores: Sequence[Score | NotScored], baseline: str, trainings: Trainings, pairs: Sequence[ComparedPair]
) -> Comparison:
    """Each benchmark's runs in the order of ``trainings``, and the differences of ``pairs``.

    A run of which a training is not scored on a benchmark is left out there: the others would not stand for it.

    Args:
        scores: of every training on every benchmark.
        baseline: the run that the others are compared with.
        trainings: each run's trainings.
        pairs: the runs that are compared.

    Raises:
        UserError: a benchmark has no score of a run that is asked for, or scores that don't compare.
    """
    by_benchmark: dict[str, dict[str, Score | NotScored]] = {}
    for score in scores:
        by_benchmark.setdefault(score.benchmark, {})[score.run] = score
    compared, not_scored = {}, {}
    for name, group in by_benchmark.items():
        _check_complete(name, group, baseline, trainings)
        left_out = {run: score.not_scored for run, score in group.items() if isinstance(score, NotScored)}
        whole = {run: names for run, names in trainings.items() if not left_out.keys() & set(names)}
        if left_out:
            not_scored[name] = left_out
        if whole:
            compared[name] = _compare_benchmark(group, baseline, whole, pairs)
    names = {run: list(names) for run, names in trainings.items()}
    return Comparison(baseline=baseline, trainings=names, benchmarks=compared, not_scored=not_scored)


def beside_baseline(trainings: Trainings, baseline: str) -> list[ComparedPair]:
    """Every run beside the baseline run, where nothing is known of the runs but their trainings."""
    once = [run for run, names in trainings.items() if len(names) == 1]
    return [
        ComparedPair(run=run, beside=baseline, trained_once=[name for name in (run, baseline) if name in once])
        for run in trainings
        if run != baseline
    ]


def _check_complete(
    benchmark: str, scores: Mapping[str, Score | NotScored], baseline: str, trainings: Trainings
) -> None:
    """Refuse a benchmark without a file of a training."""
    if baseline not in scores:
        raise UserError(f"{benchmark}: there is no score of the baseline run '{baseline}' (runs: {listed(scores)})")
    for training in (training for names in trainings.values() for training in names):
        if training not in scores:
            raise UserError(f"{benchmark}: there is no score of '{training}' (runs: {listed(scores)})")


def _compare_benchmark(
    scores: Mapping[str, Score], baseline: str, trainings: Trainings, pairs: Sequence[ComparedPair]
) -> ComparedBenchmark:
    """The runs of one benchmark whose ``trainings`` are all scored."""
    by_run = {run: [scores[training] for training in names] for run, names in trainings.items()}
    beside = by_run.get(baseline, next(iter(by_run.values())))[0]
    for score in (score for own in by_run.values() for score in own):
        _check_comparable(score, beside)
    return ComparedBenchmark(
        label=beside.metadata.label,
        metric=beside.primary,
        n=beside.main.n,
        clusters=beside.main.clusters,
        clustered_by=beside.metadata.clusters,
        questions_in_benchmark=beside.metadata.questions_in_benchmark,
        majority=MajorityAnswer(majority=beside.baseline.majority, answer=beside.baseline.answer),
        runs={run: _compared(own) for run, own in by_run.items()},
        differences=[_difference(pair, by_run) for pair in pairs if {pair.run, pair.beside} <= by_run.keys()],
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


def _compared(scores: list[Score]) -> ComparedRun:
    """A run's score: its only training's own, or the mean over several."""
    values = {score.run: score.main.value for score in scores}
    main = scores[0].main if len(scores) == 1 else mean_over_trainings(_marks(scores), _clusters(scores))
    estimate = main.model_dump(include={"value", "stderr", "interval"})
    between = list(values.values())
    return ComparedRun(**estimate, trainings=values, spread=spread(between), spread_interval=spread_interval(between))


def _difference(pair: ComparedPair, by_run: dict[str, list[Score]]) -> ComparedDifference:
    """The difference of two runs."""
    scores, beside = by_run[pair.run], by_run[pair.beside]
    found = paired_difference(_marks(scores), _marks(beside), _clusters(scores))
    return ComparedDifference(
        run=pair.run,
        beside=pair.beside,
        difference=found.value,
        stderr=found.stderr,
        interval=found.interval,
        p_value=found.p_value,
        questions_needed=found.questions_needed,
        detectable_difference=found.detectable,
        trained_once=pair.trained_once,
    )


def _marks(scores: list[Score]) -> list[list[float]]:
    """Each training's score of each question."""
    return [[value for _, value, _ in score.questions] for score in scores]


def _clusters(scores: list[Score]) -> list[object]:
    """The cluster of each question."""
    return [cluster for _, _, cluster in scores[0].questions]
