"""Checking a prediction file: every question answered once, and nothing else."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from syntune.artifacts.predictions import Prediction
from syntune.artifacts.reading import read_json_lines
from syntune.benchmarks.names import listed, repeated
from syntune.benchmarks.protocol import Question
from syntune.errors import UserError
from syntune.files import canonical_json

EmptyAnswers = Literal["refuse", "wrong"]


def read_predictions(
    path: str | Path, questions: Sequence[Question], empty_answers: EmptyAnswers = "refuse"
) -> list[Prediction]:
    """Read the answers to ``questions``, in their order.

    Raises:
        UserError: answers are missing, doubled, to unknown questions, to other prompts, of several models, or
            decoded in several ways; or empty, unless ``empty_answers`` is ``wrong``.
    """
    predictions = [prediction for _, prediction in read_json_lines(path, Prediction)]
    asked = {question.id: question for question in questions}
    answered = {prediction.question_id: prediction for prediction in predictions}
    reworded = [id for id, found in answered.items() if id in asked and found.prompt != asked[id].prompt]
    empty = [id for id, found in answered.items() if not found.text.strip()]
    refused = empty if empty_answers == "refuse" else []
    faults = {
        "questions are not answered": [id for id in asked if id not in answered],
        "questions are answered more than once": repeated(prediction.question_id for prediction in predictions),
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
    _of_one_kind(path, predictions, "adapter", lambda line: line.adapter)
    _of_one_kind(path, predictions, "benchmark", lambda line: line.benchmark)
    _of_one_kind(path, predictions, "decoding", lambda line: line.decoding and canonical_json(line.decoding))
    return [answered[question.id] for question in questions]


def _of_one_kind(
    path: str | Path, predictions: list[Prediction], key: str, value: Callable[[Prediction], str | None]
) -> None:
    """Refuse a file whose lines differ in ``key``."""
    values = list(dict.fromkeys(map(value, predictions)))
    if len(values) > 1:
        raise UserError(f"{path}: the lines' {key} differs ({len(values)} values: {listed(values)}); predict again")
