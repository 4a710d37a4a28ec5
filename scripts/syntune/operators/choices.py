"""Questions with options, in MMBench's form."""

from collections.abc import Iterable
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


def check_max_options(max_options: int) -> None:
    """Refuse a number of options that no question can have.

    Raises:
        ValueError: it is below two, or there are fewer letters.
    """
    if not 2 <= max_options <= len(LETTERS):
        raise ValueError(f"max_options: {max_options} is not between 2 and {len(LETTERS)}")


def pools_by_text(lists: Iterable[tuple[str, Any]], texts: str) -> dict[str, list[str]]:
    """For each text, in lower case, the list that it stands in.

    Args:
        lists: each with the name of the parameter that it comes from.
        texts: what messages call the texts.

    Raises:
        ValueError: a list is none, or has fewer than two texts, or a text is listed twice.
    """
    pool_of: dict[str, list[str]] = {}
    for name, pool in lists:
        if not isinstance(pool, list) or len(pool) < 2 or not all(isinstance(text, str) for text in pool):
            raise ValueError(f"{name}: {pool!r} is not a list of two or more {texts}")
        for text in pool:
            if text.lower() in pool_of:
                raise ValueError(f"{name}: {text} is listed twice")
            pool_of[text.lower()] = pool
    return pool_of
