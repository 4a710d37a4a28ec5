"""Questions with options, in MMBench's form."""

from typing import Any

from syntune.data.ordering import key_hash
from syntune.operators.question_answer import QuestionAnswer

LETTERS = "ABCDEFGH"

INSTRUCTION = "Answer with the option's letter from the given choices directly."


def with_options(asked: QuestionAnswer, wrong: list[str], instruction: str, *key: Any) -> QuestionAnswer:
    """The question with its answer among options, and the letter as the answer; ``key`` decides the order of all."""
    options = sorted([asked.answer, *wrong], key=lambda option: key_hash(*key, option))
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False)]
    question = "\n".join([asked.question, *lines, instruction])
    return QuestionAnswer(asked.images, question, LETTERS[options.index(asked.answer)])
