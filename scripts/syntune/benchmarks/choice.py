"""Questions of choice of one's own, with any number of options, each asked once or in every rotation of its options."""

from collections.abc import Iterator
from string import ascii_uppercase
from typing import Any

from syntune.benchmarks.letters import read_letter
from syntune.benchmarks.own_questions import OwnQuestions
from syntune.benchmarks.protocol import Question
from syntune.benchmarks.question_file import ChoiceRow
from syntune.settings.benchmarks import ChoiceSettings


class Choice(OwnQuestions[ChoiceSettings]):
    """The prompt is the config's template with the question and its options by letter, a line each."""

    metric = "choice"

    def label(self) -> str:
        """Asking every rotation is a protocol of its own."""
        return "questions of choice, in every rotation" if self.settings.circular else "questions of choice"

    def ask(self, row: ChoiceRow, **shared: Any) -> Iterator[Question]:
        """The question or, circular, one for each rotation of its options: the options move up, the first goes last."""
        number = len(row.options)
        for turn in range(number if self.settings.circular else 1):
            options = dict(zip(ascii_uppercase, row.options[turn:] + row.options[:turn], strict=False))
            lines = "\n".join(f"{letter}. {option}" for letter, option in options.items())
            yield Question(
                id=f"{row.id}~{turn}" if turn else row.id,
                prompt=self.settings.prompt.format(question=row.question, options=lines),
                references=(ascii_uppercase[(row.right - turn) % number],),
                options=options,
                words=row.question,
                rotation_of=row.id if turn else None,
                **shared,
            )

    def extract(self, question: Question, text: str) -> str:
        """The letter that the text, or what the pattern takes out of it, names (``letters.py``)."""
        return read_letter(self.taken_out(text), question.options)
