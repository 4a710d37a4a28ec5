"""A run's score on a benchmark, from its predictions and the annotations."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from syntune.artifacts.predictions import Prediction
from syntune.artifacts.questions import QuestionId
from syntune.artifacts.scores import CategoryScore, MajorityScores, NotScored, Score, ScoreMetadata
from syntune.benchmarks.findings import ContaminatedQuestions
from syntune.benchmarks.metrics import METRICS, ExtractedAnswer, Marks, Series
from syntune.benchmarks.predictions import empty_answers
from syntune.benchmarks.protocol import Protocol, Question
from syntune.benchmarks.statistics import estimate
from syntune.benchmarks.uncontaminated import score_without


def score_run(
    run: str,
    protocol: Protocol,
    questions: Sequence[Question],
    predictions: Sequence[Prediction],
    contaminated: Sequence[ContaminatedQuestions] = (),
) -> Score | NotScored:
    """The score of ``run``: metrics with error bars, and what they rest on; or why there is none.

    Args:
        run: the run's name.
        protocol: the benchmark.
        questions: all its questions; those within its limit are scored.
        predictions: the answers to those within its limit, in their order.
        contaminated: the benchmark's questions in each dataset that the run is trained on.
    """
    asked = protocol.limited(list(questions))
    if fault := protocol.unscorable(asked) or empty_answers(protocol, predictions):
        return NotScored(
            run=run,
            benchmark=protocol.name,
            protocol=protocol.settings.protocol,
            label=protocol.label(),
            not_scored=fault,
        )
    answers = [
        ExtractedAnswer(prediction.text, protocol.extract(question, prediction.text))
        for question, prediction in zip(asked, predictions, strict=True)
    ]
    marks = _marks(protocol, asked, answers)
    main = marks.series[marks.primary]
    first = predictions[0]
    return Score(
        run=run,
        benchmark=protocol.name,
        protocol=protocol.settings.protocol,
        metrics={name: estimate(series.values, series.clusters) for name, series in marks.series.items()},
        primary=marks.primary,
        questions=list(zip(main.ids, main.values, main.clusters, strict=True)),
        breakdown=_breakdown(asked, marks) | _unusual(asked, predictions),
        contamination=score_without(asked, main, contaminated),
        baseline=_majority_scores(protocol, asked),
        metadata=ScoreMetadata(
            label=protocol.label(),
            **protocol.metadata(),
            clusters=protocol.clusters,
            questions_in_benchmark=protocol.size(questions),
            answers=len(predictions),
            adapter=first.adapter,
            questions_hash=first.benchmark,
            decoding=first.decoding,
        ),
    )


def _marks(protocol: Protocol, questions: Sequence[Question], answers: Sequence[ExtractedAnswer]) -> Marks:
    """What the protocol's metric finds, led by its primary series."""
    marks = METRICS[protocol.metric].mark(questions, answers)
    return marks if protocol.primary is None else marks.led_by(protocol.primary)


def _majority_scores(protocol: Protocol, questions: Sequence[Question]) -> MajorityScores:
    """What one answer to everything scores: the most frequent one, which needs no look at any image."""
    metric = METRICS[protocol.metric]
    answer = metric.majority(questions)
    marks = _marks(protocol, questions, [ExtractedAnswer(answer, answer)] * len(questions))
    shares = {name: sum(series.values) / len(series.values) for name, series in marks.series.items()}
    return MajorityScores(majority=shares[marks.primary], answer=answer, metrics=shares)


def _breakdown(questions: Sequence[Question], marks: Marks) -> dict[str, dict[str, CategoryScore | int]]:
    """The metrics that are told by category, by each kind of category; and the counts of answers."""
    categories = {question.id: question.categories for question in questions}
    kinds = dict.fromkeys(kind for by_kind in categories.values() for kind in by_kind)
    parts = {
        f"{name}_by_{kind}": _by_category(marks.series[name], categories, kind)
        for name in marks.by_category
        for kind in kinds
    }
    return {**parts, "answers": marks.counts}


def _unusual(
    questions: Sequence[Question], predictions: Sequence[Prediction]
) -> dict[str, dict[str, CategoryScore | int]]:
    """The counts of questions with something unusual about them, by what it is; nothing where there are none."""
    notes = [note for question in questions for note in question.notes]
    notes += [note for line in predictions for note in _noted(line)]
    return {"questions": dict(sorted(Counter(notes).items()))} if notes else {}


def _noted(line: Prediction) -> Iterator[str]:
    """What is unusual about an answer: how its image was seen, where there are several ways, and what decided it."""
    if line.orientation:
        is_turned = line.orientation == "apply"
        yield "image turned by its orientation tag" if is_turned else "image's orientation tag ignored"
    if line.transparency:
        is_shown = line.transparency != "ignore"
        yield f"transparent pixels on {line.transparency}" if is_shown else "transparent pixels' hidden colours shown"
    if line.near_tie:
        yield "near tie: rounding may have decided the answer"


def _by_category(
    series: Series, categories: dict[QuestionId, dict[str, str]], kind: str
) -> dict[str, CategoryScore | int]:
    """The mean and number of scores in each category of a kind."""
    values = defaultdict(list)
    for id, value in zip(series.ids, series.values, strict=True):
        values[categories[id].get(kind, "none")].append(value)
    return {
        category: CategoryScore(value=sum(scores) / len(scores), n=len(scores))
        for category, scores in sorted(values.items())
    }
