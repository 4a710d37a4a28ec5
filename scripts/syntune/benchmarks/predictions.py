"""Checking a prediction file: every question answered once, and nothing else."""

from collections.abc import Callable, Sequence
from pathlib import Path

from syntune.artifacts.predictions import Prediction
from syntune.artifacts.reading import read_json_lines
from syntune.benchmarks.names import listed, repeated
from syntune.benchmarks.protocol import Protocol, Question
from syntune.errors import UserError
from syntune.files import canonical_json

_AGAIN = "predict again: delete it and run snakemake again"


def read_predictions(path: str | Path, questions: Sequence[Question]) -> list[Prediction]:
    """Read the answers to ``questions``, in their order.

    A question is known by how its id prints: tools that write tables turn numbers to texts, and back.

    Raises:
        UserError: answers are missing, doubled, to unknown questions, to other prompts, of several models, or
            decoded in several ways.
    """
    predictions = [prediction for _, prediction in read_json_lines(path, Prediction, _AGAIN)]
    asked = {str(question.id): question for question in questions}
    answered = {str(prediction.question_id): prediction for prediction in predictions}
    reworded = [id for id, found in answered.items() if id in asked and found.prompt != asked[id].prompt]
    faults = {
        "questions are not answered": [id for id in asked if id not in answered],
        "questions are answered more than once": repeated(str(prediction.question_id) for prediction in predictions),
        "answers are to unknown questions": [id for id in answered if id not in asked],
        "answers are to other prompts than the benchmark's": reworded,
    }
    found = [f"{len(ids)} {fault} ({listed(ids)})" for fault, ids in faults.items() if ids]
    if found:
        raise UserError(f"{path}: {len(questions)} questions asked: {'; '.join(found)}; {_AGAIN}")
    _of_one_kind(path, predictions, "adapter", lambda line: line.adapter)
    _of_one_kind(path, predictions, "benchmark", lambda line: line.benchmark)
    _of_one_kind(path, predictions, "decoding", lambda line: line.decoding and canonical_json(line.decoding))
    return [answered[id] for id in asked]


def empty_answers(protocol: Protocol, predictions: Sequence[Prediction]) -> str | None:
    """How many answers are empty, and what to do; None where the benchmark lets them count as wrong, or none is."""
    empty = [prediction.question_id for prediction in predictions if not prediction.text.strip()]
    if not empty or protocol.settings.empty_answers == "wrong":
        return None
    # greedy decoding would leave the same answers empty again
    return (
        f"{len(empty)} of {len(predictions)} answers are empty ({listed(empty)}); set "
        f"benchmarks.{protocol.name}.empty_answers: wrong to count them as wrong"
    )


def _of_one_kind(
    path: str | Path, predictions: list[Prediction], key: str, value: Callable[[Prediction], str | None]
) -> None:
    """Refuse a file whose lines differ in ``key``."""
    values = list(dict.fromkeys(map(value, predictions)))
    if len(values) > 1:
        raise UserError(f"{path}: the lines' {key} differs ({len(values)} values: {listed(values)}); {_AGAIN}")
