"""A run's score without the questions that were found in its training data."""

from collections.abc import Sequence

from syntune.artifacts.questions import QuestionId
from syntune.artifacts.scores import RemainingEstimate, UncontaminatedScore
from syntune.benchmarks.findings import KINDS, ContaminatedQuestions
from syntune.benchmarks.metrics import Series
from syntune.benchmarks.protocol import Question
from syntune.benchmarks.statistics import estimate


def score_without(
    questions: Sequence[Question], series: Series, contaminated: Sequence[ContaminatedQuestions]
) -> UncontaminatedScore | None:
    """For each kind of contamination the mean of the scores that it leaves; None for a run that trains on nothing.

    A question counts as contaminated if it is in any of the datasets. A group of questions that is scored as one is
    left out with any of them. Where nothing is left, value, error and interval are None.
    """
    if not contaminated:
        return None
    in_any = {kind: set().union(*(found.ids[kind] for found in contaminated)) for kind in KINDS}
    return UncontaminatedScore(
        datasets=[found.dataset for found in contaminated],
        without={kind: _without(questions, series, ids) for kind, ids in in_any.items()},
    )


def _without(questions: Sequence[Question], series: Series, contaminated: set[QuestionId]) -> RemainingEstimate:
    """The estimate of the scores that don't rest on contaminated questions, and how many scores are left out."""
    scored = set(series.ids)
    found_in_data = [question for question in questions if question.id in contaminated]
    left_out = {question.id if question.id in scored else question.base for question in found_in_data}
    kept = [place for place, id in enumerate(series.ids) if id not in left_out]
    if not kept:
        return RemainingEstimate(left_out=len(left_out), value=None, stderr=None, interval=None, n=0, clusters=0)
    found = estimate([series.values[place] for place in kept], [series.clusters[place] for place in kept])
    return RemainingEstimate(left_out=len(left_out), **found.model_dump())
