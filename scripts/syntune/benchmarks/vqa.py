"""Open questions of one's own, each with one right answer or several."""

from collections.abc import Iterator, Sequence
from typing import Any

from syntune.benchmarks.names import listed
from syntune.benchmarks.own_questions import OwnQuestions
from syntune.benchmarks.protocol import Question
from syntune.benchmarks.question_file import AnsweredRow
from syntune.benchmarks.vqa_accuracy import ENOUGH
from syntune.settings.benchmarks import VqaSettings


class Vqa(OwnQuestions[VqaSettings]):
    """The prompt is the config's template with the question in it; the answer is the text, or what a pattern takes."""

    metric = "open"

    @property
    def primary(self) -> str:
        """The metric that the config names."""
        return self.settings.metric

    def label(self) -> str:
        """Scores by another main metric are not compared."""
        return f"open questions by {self.settings.metric.replace('_', ' ')}"

    def unscorable(self, questions: Sequence[Question]) -> str | None:
        """VQA accuracy wants several answers of each question."""
        few = [question.id for question in questions if len(question.references) < ENOUGH]
        if self.settings.metric != "vqa_accuracy" or not few:
            return super().unscorable(questions)
        return (
            f"metric: vqa_accuracy wants {ENOUGH} answers or more of each question, and {len(few)} of {len(questions)} "
            f"have fewer ({listed(few)}); choose another metric"
        )

    def ask(self, row: AnsweredRow, **shared: Any) -> Iterator[Question]:
        """One question."""
        prompt = self.settings.prompt.format(question=row.question)
        yield Question(id=row.id, prompt=prompt, references=row.references, words=row.question, **shared)
