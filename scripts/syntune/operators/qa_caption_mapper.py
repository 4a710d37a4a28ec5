"""Questions with their answers, turned into statements."""

import re
from string import Formatter
from typing import Any, Literal

from data_juicer.ops.base_op import OPERATORS, Mapper
from pydantic import BaseModel, ConfigDict, TypeAdapter, model_validator

from syntune.operators.question_answer import batch_of, caption_text, parse, rows_of


class Template(BaseModel):
    """One way of making a caption; the patterns' named groups fill the braces of ``caption``, or nothing does."""

    model_config = ConfigDict(extra="forbid")

    question: str
    answer: str
    caption: str

    def fill(self, question: str, answer: str) -> str | None:
        """The caption, if both patterns match whole."""
        asked = re.fullmatch(self.question, question, re.IGNORECASE)
        said = re.fullmatch(self.answer, answer, re.IGNORECASE)
        return self.caption.format(**asked.groupdict("") | said.groupdict("")) if asked and said else None

    @model_validator(mode="after")
    def _braces_are_groups(self) -> "Template":
        """Both patterns are valid, and each brace of the caption names a group."""
        groups = re.compile(self.question).groupindex | re.compile(self.answer).groupindex
        for _, name, _, _ in Formatter().parse(self.caption):
            if name is not None and name not in groups:
                raise ValueError(f"caption: {{{name}}} is no group of the patterns")
        return self


@OPERATORS.register_module("qa_caption_mapper")
class QaCaptionMapper(Mapper):
    """Turns a question and its answer into a caption that states the same.

    The first template whose patterns match the whole question and the whole answer, in any case, is used.
    """

    _batched_op = True

    def __init__(self, templates: list[dict], unmatched: Literal["drop", "keep"] = "drop", *args: Any, **kwargs: Any):
        """Take the recipe's parameters.

        Args:
            templates: ``{question: regex, answer: regex, caption: text}``; ``{name}`` in the caption stands for the
                group ``(?P<name>...)`` of either pattern.
            unmatched: what becomes of a row that no template fits.
            args: Data-Juicer's.
            kwargs: Data-Juicer's.
        """
        super().__init__(*args, **kwargs)
        if unmatched not in ("drop", "keep"):
            raise ValueError(f"unmatched: {unmatched!r} is not one of drop, keep")
        self.keep_unmatched = unmatched == "keep"
        self.templates = TypeAdapter(list[Template]).validate_python(templates)

    def process_batched(self, samples: dict[str, list]) -> dict[str, list]:
        """Replace the texts of the rows that a template fits."""
        rows = []
        for row in rows_of(samples):
            text = self._caption(row[self.text_key])
            if text or self.keep_unmatched:
                rows.append(row | {self.text_key: text or row[self.text_key]})
        return batch_of(rows, list(samples))

    def _caption(self, text: str) -> str | None:
        """The caption's text, or None."""
        pair = parse(text)
        if not pair:
            return None
        filled = (template.fill(pair.question, pair.answer) for template in self.templates)
        caption = next((caption for caption in filled if caption), None)
        return caption and caption_text(pair.images, caption)
