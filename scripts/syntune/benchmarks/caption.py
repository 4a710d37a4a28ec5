"""Images of one's own that are to be described."""

from collections.abc import Iterator
from typing import Any

from syntune.benchmarks.own_questions import OwnQuestions
from syntune.benchmarks.protocol import Question
from syntune.benchmarks.question_file import CaptionRow
from syntune.settings.benchmarks import CaptionSettings


class Caption(OwnQuestions[CaptionSettings]):
    """The prompt is the row's own or, without one, the config's.

    What the contamination search looks for are the captions: many images share a prompt.
    """

    metric = "captions"

    def label(self) -> str:
        """There is one protocol only."""
        return "captions"

    def ask(self, row: CaptionRow, **shared: Any) -> Iterator[Question]:
        """One question."""
        prompt = row.question or self.settings.prompt.format()
        yield Question(id=row.id, prompt=prompt, references=row.references, **shared)

    def searched_texts(self, question: Question) -> tuple[str, ...]:
        """The captions."""
        return self.answer_texts(question)
