"""Reading a prediction file: every question answered once, and nothing else."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel

from syntune.benchmarks.inputs import listed, read_json_lines, repeated
from syntune.benchmarks.protocol import Question, QuestionId
from syntune.errors import UserError
from syntune.files import canonical_json
from syntune.settings.reading import read_settings

EmptyAnswers = Literal["refuse", "wrong"]


class Prediction(BaseModel):
    """One line: a question and the raw text of its answer. Scores are computed from ``text``."""

    question_id: QuestionId
    prompt: str
    text: str
    adapter: str | None = None
    benchmark: str | None = None
    decoding: dict[str, Any] | None = None


def read_predictions(
    path: str | Path, questions: Sequence[Question], empty_answers: EmptyAnswers = "refuse"
) -> list[Prediction]:
    """Read the answers to ``questions``, in their order.

    Raises:
        UserError: answers are missing, doubled, to unknown questions, to other prompts, of several models, or
            decoded in several ways; or empty, unless ``empty_answers`` is ``wrong``.
    """
    predictions = [read_settings(value, Prediction, where) for where, value in read_json_lines(path)]
    asked = {question.id: question for question in questions}
    answered = {prediction.question_id: prediction for prediction in predictions}
    reworded = [id for id, of in answered.items() if id in asked and of.prompt != asked[id].prompt]
    empty = [id for id, of in answered.items() if not of.text.strip()]
    refused = empty if empty_answers == "refuse" else []
    faults = {
        "questions are not answered": [id for id in asked if id not in answered],
        "questions are answered more than once": repeated(of.question_id for of in predictions),
        "answers are to unknown questions": [id for id in answered if id not in asked],
        "answers are to other prompts than the benchmark's": reworded,
        "answers are empty": refused,
    }
    found = [f"{len(ids)} {fault} ({listed(ids)})" for fault, ids in faults.items() if ids]
    if found:
        # greedy decoding would leave the same answers empty again
        only_empty = len(found) == 1 and refused
        advice = "the benchmark's empty_answers: wrong counts them as wrong" if only_empty else "predict again"
        raise UserError(f"{path}: {len(questions)} questions asked: {'; '.join(found)}; {advice}")
    _of_one_kind(path, predictions, "adapter", lambda of: of.adapter)
    _of_one_kind(path, predictions, "benchmark", lambda of: of.benchmark)
    _of_one_kind(path, predictions, "decoding", lambda of: of.decoding and canonical_json(of.decoding))
    return [answered[question.id] for question in questions]


def _of_one_kind(
    path: str | Path, predictions: list[Prediction], key: str, value: Callable[[Prediction], str | None]
) -> None:
    """Refuse a file whose lines differ in ``key``."""
    values = list(dict.fromkeys(map(value, predictions)))
    if len(values) > 1:
        raise UserError(f"{path}: the lines' {key} differs ({len(values)} values: {listed(values)}); predict again")
