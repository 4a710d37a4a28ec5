"""Data-Juicer rows of one question and one answer, taken apart and put together."""

import re
from typing import Any, NamedTuple

from syntune.data.conversations import JUICER_END_MARK, JUICER_IMAGE_MARK

_TURN = re.compile(r"\[\[(human|gpt)\]\]:")


class QuestionAnswer(NamedTuple):
    """A question about ``images`` images, and its answer."""

    images: int
    question: str
    answer: str

    def text(self) -> str:
        """The row's text."""
        return conversation_text(self.images, [(self.question, self.answer)])


def parse(text: str) -> QuestionAnswer | None:
    """The question and answer of a text with one turn each and its images before or behind the question.

    None for any other text.
    """
    # no one pattern for all of it: that would take minutes for some thousand spaces in a row
    head, *turns = _TURN.split(text.strip().removesuffix(JUICER_END_MARK))
    if turns[::2] != ["human", "gpt"] or head.replace(JUICER_IMAGE_MARK, "").strip() or not turns[1].endswith("\n"):
        return None
    question, answer = _without_outer_marks(turns[1].strip()), turns[3].strip()
    both = f"{question}\n{answer}"
    if not (question and answer) or "[[" in both or JUICER_IMAGE_MARK in both:
        return None
    return QuestionAnswer(text.count(JUICER_IMAGE_MARK), question, answer)


def _without_outer_marks(question: str) -> str:
    """A question without the images' marks before and behind it, as LLaVA's data have them."""
    while question.startswith(JUICER_IMAGE_MARK):
        question = question.removeprefix(JUICER_IMAGE_MARK).lstrip()
    while question.endswith(JUICER_IMAGE_MARK):
        question = question.removesuffix(JUICER_IMAGE_MARK).rstrip()
    return question


def conversation_text(images: int, turns: list[tuple[str, str]]) -> str:
    """The text of a row of questions and answers."""
    written = "\n".join(f"[[human]]: {question}\n[[gpt]]: {answer}" for question, answer in turns)
    return f"{JUICER_IMAGE_MARK}\n" * images + f"{written} {JUICER_END_MARK}"


def parse_caption(text: str) -> tuple[int, str] | None:
    """The number of images and the caption of a text without turns; None for any other text."""
    caption = text.replace(JUICER_IMAGE_MARK, "").replace(JUICER_END_MARK, "").strip()
    return None if "[[" in caption or not caption else (text.count(JUICER_IMAGE_MARK), caption)


def caption_text(images: int, caption: str) -> str:
    """The text of a row that is a caption."""
    return f"{JUICER_IMAGE_MARK}\n" * images + f"{caption} {JUICER_END_MARK}"


def rows_of(samples: dict[str, list]) -> list[dict[str, Any]]:
    """A batch's rows."""
    return [dict(zip(samples, values, strict=True)) for values in zip(*samples.values(), strict=True)]


def batch_of(rows: list[dict[str, Any]], columns: list[str]) -> dict[str, list]:
    """Rows as a batch of these columns."""
    return {column: [row[column] for row in rows] for column in columns}
