"""What the protocols for questions of one's own share: rows become questions, a pattern takes the answer out."""

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from syntune.benchmarks.protocol import Protocol, Question
from syntune.benchmarks.question_file import ROWS, QuestionRow, read_question_file
from syntune.files import sha256_bytes, write_json

S = TypeVar("S")


class OwnQuestions(Protocol[S]):
    """A protocol whose questions are rows of a file; errors are clustered by image."""

    clusters = "images"

    @abstractmethod
    def ask(self, row: QuestionRow, **shared: Any) -> Iterator[Question]:
        """The questions that a row comes to.

        Args:
            row: the row.
            shared: what they have of the row anyway: image, group and categories.
        """

    def read(self) -> list[Question]:
        """Read the file."""
        path = self.settings.questions
        folder = Path(self.settings.images or Path(path).parent)
        questions: list[Question] = []
        for row in read_question_file(path, ROWS[self.settings.protocol]):
            image = row.source(folder)
            group = sha256_bytes(image)[:16] if isinstance(image, bytes) else str(image)
            categories = {"category": row.category} if row.category else {}
            questions += self.ask(row, image=image, group=group, categories=categories)
        return questions

    def taken_out(self, text: str) -> str:
        """The part of ``text`` that the answer pattern matches, without outer white space; empty without a match."""
        if self.settings.answer_pattern is None:
            return text.strip()
        found = re.search(self.settings.answer_pattern, text)
        if found is None:
            return ""
        return ((found[1] if found.re.groups else found[0]) or "").strip()

    def extract(self, question: Question, text: str) -> str:
        """What the pattern takes out."""
        return self.taken_out(text)

    def metadata(self) -> dict[str, Any]:
        """The prompt's template, and the pattern that takes the answer out of the text."""
        return {"prompt": self.settings.prompt, "answer_pattern": self.settings.answer_pattern}

    def submission(self, questions: Sequence[Question], texts: Sequence[str], path: Path) -> None:
        """Write what is taken out of each text as a list of ``{"id", "answer"}`` (JSON); there is no server."""
        pairs = zip(questions, texts, strict=True)
        write_json(path, [{"id": question.id, "answer": self.extract(question, text)} for question, text in pairs])
