"""Data-Juicer rows of one question and one answer, taken apart and put together."""

import re
from typing import Any, NamedTuple

from syntune.data.conversations import JUICER_END_MARK, JUICER_IMAGE_MARK

_ONE_TURN = re.compile(
    rf"\s*(?P<images>(?:{re.escape(JUICER_IMAGE_MARK)}\s*)*)\[\[human\]\]:\s*(?P<question>(?:(?!\[\[).)+?)\s*"
    rf"\n\[\[gpt\]\]:\s*(?P<answer>(?:(?!\[\[).)+?)\s*(?:{re.escape(JUICER_END_MARK)})?\s*",
    re.DOTALL,
)


class QuestionAnswer(NamedTuple):
    """A question about ``images`` images, and its answer."""

    images: int
    question: str
    answer: str

    def text(self) -> str:
        """The row's text."""
        turns = f"[[human]]: {self.question}\n[[gpt]]: {self.answer}"
        return f"{JUICER_IMAGE_MARK}\n" * self.images + f"{turns} {JUICER_END_MARK}"


def parse(text: str) -> QuestionAnswer | None:
    """The question and answer of a text with the images in front and one turn each; None for any other text."""
    match = _ONE_TURN.fullmatch(text)
    return match and QuestionAnswer(match["images"].count(JUICER_IMAGE_MARK), match["question"], match["answer"])


def caption_text(images: int, caption: str) -> str:
    """The text of a row that is a caption."""
    return f"{JUICER_IMAGE_MARK}\n" * images + f"{caption} {JUICER_END_MARK}"


def rows_of(samples: dict[str, list]) -> list[dict[str, Any]]:
    """A batch's rows."""
    return [dict(zip(samples, values, strict=True)) for values in zip(*samples.values(), strict=True)]


def batch_of(rows: list[dict[str, Any]], columns: list[str]) -> dict[str, list]:
    """Rows as a batch of these columns."""
    return {column: [row[column] for row in rows] for column in columns}
