"""A prediction file: JSON lines, one for each question of a benchmark, in its order."""

from typing import Any

from pydantic import ConfigDict

from syntune.artifacts.questions import QuestionId
from syntune.artifacts.schema import Artifact


class Prediction(Artifact):
    """One line: a question and a run's answer. Scores are computed from ``text``.

    Answers that were made elsewhere can be scored too: of the fields after ``text`` they may have none, and others.

    Attributes:
        question_id: the question's id.
        prompt: the text that the model was given with the image.
        text: what the model wrote, without control tokens.
        tokens: length of what it wrote.
        near_tie: true where rounding may have decided what it wrote, in bfloat16 alone; else None.
        adapter: content hash of the chain of checkpoints that answered.
        benchmark: content hash of all questions and images of the benchmark.
        decoding: how the answer was decoded, and in which arithmetic.
        orientation: what became of the orientation tag of the image, ``apply`` or ``ignore``; None where it has none.
        transparency: what transparent pixels were shown on, ``white`` or ``black``, or ``ignore``; None without any.
    """

    model_config = ConfigDict(extra="ignore")

    question_id: QuestionId
    prompt: str
    text: str
    tokens: int | None = None
    near_tie: bool | None = None
    adapter: str | None = None
    benchmark: str | None = None
    decoding: dict[str, Any] | None = None
    orientation: str | None = None
    transparency: str | None = None
