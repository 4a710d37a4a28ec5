"""Questions of one's own that are answered with yes or no."""

import re
from collections.abc import Iterator
from typing import Any

from syntune.benchmarks.own_questions import OwnQuestions
from syntune.benchmarks.protocol import Question
from syntune.benchmarks.question_file import YES_NO, YesNoRow
from syntune.settings.benchmarks import YesNoSettings


class YesNo(OwnQuestions[YesNoSettings]):
    """The prompt is the config's template with the question in it."""

    metric = "yes_no"

    def label(self) -> str:
        """There is one protocol only."""
        return "questions of yes or no"

    def ask(self, row: YesNoRow, **shared: Any) -> Iterator[Question]:
        """One question."""
        prompt = self.settings.prompt.format(question=row.question)
        yield Question(id=row.id, prompt=prompt, references=(row.answer,), words=row.question, **shared)

    def extract(self, question: Question, text: str) -> str:
        """``yes`` or ``no``, whichever word comes first in what the pattern takes out; of a text with neither, true is
        yes and false is no; else empty.
        """
        taken = self.taken_out(text).lower()
        found = re.search(r"\b(yes|no)\b", taken) or re.search(r"\b(true|false)\b", taken)
        return YES_NO[found[1]] if found else ""
