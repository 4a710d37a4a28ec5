"""Reading what the page is made of: the benchmark's questions, each run's answers to them, and their scores."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from syntune.artifacts.predictions import Prediction
from syntune.artifacts.questions import QuestionId
from syntune.artifacts.reading import read_json_lines
from syntune.artifacts.remaking import remake
from syntune.artifacts.scores import NotScored, Score, read_score
from syntune.benchmarks.protocol import Protocol, Question
from syntune.files import sha256_bytes

LARGEST = 5000
"""Questions that a page shows; of more, those that a hash chooses."""


@dataclass(frozen=True)
class RunAnswers:
    """A run's answers and scores by question id; a question without a score of its own is not in ``scores``.

    ``value`` is None of a run that is not scored.
    """

    run: str
    predictions: dict[QuestionId, Prediction]
    scores: dict[QuestionId, float]
    value: float | None


@dataclass(frozen=True)
class ScoredQuestion:
    """A question with a score of its own, and those that share it: MMBench's rotations of a base question."""

    question: Question
    rotations: list[Question] = field(default_factory=list)


@dataclass(frozen=True)
class AnswersRecords:
    """What the page shows.

    Attributes:
        protocol: the benchmark.
        label: the protocol in a few words.
        metric: the primary metric, which marks the answers; None if no run is scored.
        questions: those that are shown, in the benchmark's order.
        asked: the number of all scored questions.
        runs: in the config's order.
    """

    protocol: Protocol
    label: str
    metric: str | None
    questions: list[ScoredQuestion]
    asked: int
    runs: list[RunAnswers]


def read_answers(protocol: Protocol, predictions: Sequence[Path], scores: Sequence[Path]) -> AnswersRecords:
    """Read the answers of each run to a benchmark.

    Args:
        protocol: the benchmark.
        predictions: a file for each run.
        scores: a file for each run, in the same order.

    Raises:
        UserError: a file is missing or malformed.
    """
    scored = [read_score(path) for path in scores]
    runs = [_run(score, path) for score, path in zip(scored, predictions, strict=True)]
    every = protocol.questions()
    of_their_own = {id for run in runs for id in run.scores} or {question.id for question in every}
    questions = scored_questions(every, of_their_own)
    metric = next((score.primary.replace("_", " ") for score in scored if isinstance(score, Score)), None)
    return AnswersRecords(protocol, protocol.label(), metric, chosen(questions), len(questions), runs)


def _run(score: Score | NotScored, predictions: Path) -> RunAnswers:
    """One run."""
    lines = {line.question_id: line for _, line in read_json_lines(predictions, Prediction, remake(predictions))}
    if isinstance(score, NotScored):
        return RunAnswers(score.run, lines, {}, None)
    marks = {question: float(value) for question, value, _ in score.questions}
    return RunAnswers(score.run, lines, marks, score.main.value)


def scored_questions(questions: Sequence[Question], scored: set[QuestionId]) -> list[ScoredQuestion]:
    """The questions that were scored, each with those that only count towards its score."""
    found = {question.id: ScoredQuestion(question) for question in questions if question.id in scored}
    for question in questions:
        if question.id not in scored and question.base in found:
            found[question.base].rotations.append(question)
    return list(found.values())


def chosen(questions: list[ScoredQuestion], largest: int = LARGEST) -> list[ScoredQuestion]:
    """At most ``largest`` of the questions, in their order: those with the smallest hashes of their ids."""
    kept = set(by_hash(questions)[:largest])
    return [one for place, one in enumerate(questions) if place in kept]


def by_hash(questions: Sequence[ScoredQuestion]) -> list[int]:
    """The places of questions in the order of a hash of their ids: the same ones in every run of the workflow."""
    hashes = [sha256_bytes(f"answers/{one.question.id}".encode()) for one in questions]
    return sorted(range(len(questions)), key=hashes.__getitem__)


def reference_texts(question: Question) -> list[str]:
    """The distinct reference answers, the most frequent first, with how many people gave them."""
    counts = Counter(question.references)
    return [text if count == 1 else f"{text} ×{count}" for text, count in counts.most_common()]
