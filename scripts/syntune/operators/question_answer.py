"""Data-Juicer rows of one question and one answer, taken apart and put together."""

import re
from typing import Any, NamedTuple

from syntune.data.conversations import JUICER_END_MARK, JUICER_IMAGE_MARK

_ONE_TURN = re.compile(
    rf"\s*(?P<images>(?:{re.escape(JUICER_IMAGE_MARK)}\s*)*)\[\[human\]\]:\s*(?P<question>(?:(?!\[\[).)+?)\s*"
    rf"\n\[\[gpt\]\]:\s*(?P<answer>(?:(?!\[\[).)+?)\s*(?:{re.escape(JUICER_END_MARK)})?\s*",
    re.DOTALL,
)


_MARK = re.escape(JUICER_IMAGE_MARK)
_AROUND = re.compile(rf"\A(?:{_MARK}\s*)+|(?:\s*{_MARK})+\Z")
"""Marks before or behind a question, as LLaVA's data have them."""


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
    match = _ONE_TURN.fullmatch(text)
    question = match and _AROUND.sub("", match["question"])
    if not question or JUICER_IMAGE_MARK in question + match["answer"]:
        return None
    return QuestionAnswer(text.count(JUICER_IMAGE_MARK), question, match["answer"])


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
