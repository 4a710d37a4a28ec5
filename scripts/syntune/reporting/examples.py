"""Example answers: one question for each pattern of right and wrong among the runs."""

from collections import Counter
from dataclasses import dataclass

from syntune import formats
from syntune.artifacts.predictions import Prediction
from syntune.artifacts.scores import is_right
from syntune.files import sha256_bytes
from syntune.reporting.palette import run_colours
from syntune.reporting.records import Records

PATTERNS = 6
LONGEST_PROMPT = 600


@dataclass(frozen=True)
class ShownAnswer:
    """A run's answer; ``score`` is None where the question has none of its own."""

    run: str
    colour: str
    text: str
    score: float | None

    @property
    def right(self) -> bool | None:
        """Whether more than half of the question is scored."""
        return is_right(self.score)


@dataclass(frozen=True)
class Example:
    """A question, and how many questions the runs answered like it."""

    question_id: str
    prompt: str
    alike: int
    answers: list[ShownAnswer]


def examples(records: Records, benchmark: str) -> list[Example]:
    """The questions of the most frequent patterns of right and wrong, each the first of its pattern by hash of its id.

    A question's pattern is which runs scored more than half of it. Questions that a run did not answer, and those
    without a score of their own (rotations of a base question), are left out. Of a run that is trained several times
    the first training answers.
    """
    answers = {
        run: {str(prediction.question_id): prediction for prediction in records.predictions[run, benchmark]}
        for run in records.runs
        if (run, benchmark) in records.predictions
    }
    if not answers:
        return []
    marks = {run: _marks(records, run, benchmark) for run in answers}
    everywhere = set.intersection(*(set(given) & set(marks[run] or given) for run, given in answers.items()))
    order = sorted(everywhere, key=lambda question: sha256_bytes(question.encode()))
    patterns = {question: tuple(is_right(marks[run].get(question)) for run in answers) for question in order}
    frequent = Counter(patterns[question] for question in order).most_common(PATTERNS)
    first = {pattern: next(question for question in order if patterns[question] == pattern) for pattern, _ in frequent}
    colours = run_colours(records)
    return [
        Example(
            question_id=question,
            prompt=formats.words(next(iter(answers.values()))[question].prompt, LONGEST_PROMPT),
            alike=alike,
            answers=[
                ShownAnswer(run, colours[run], _shown(given[question]), marks[run].get(question))
                for run, given in answers.items()
            ],
        )
        for pattern, alike in frequent
        for question in [first[pattern]]
    ]


def _marks(records: Records, run: str, benchmark: str) -> dict[str, float]:
    """The score of each question that has one of its own."""
    score = records.scores.get((run, benchmark))
    return {} if score is None else {str(question): float(value) for question, value, *_ in score.questions}


def _shown(prediction: Prediction) -> str:
    """The raw text of an answer, cut where it is long."""
    return formats.words(prediction.text)
