"""The page: one HTML file that needs nothing else, of a bounded size, in which questions are searched and filtered."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from syntune import formats
from syntune.answers_page.reading import AnswersRecords, RunAnswers, ScoredQuestion, by_hash, reference_texts
from syntune.artifacts.scores import is_right
from syntune.benchmarks.protocol import Question
from syntune.files import atomic_file
from syntune.pages.colours import run_colour
from syntune.pages.templates import environment
from syntune.pages.thumbnails import Thumbnails

HERE = Path(__file__).parent

PICTURES_ROOM = 8_000_000
"""Bytes that all pictures of the page may take."""


@dataclass(frozen=True)
class ShownAnswer:
    """A run's answer: ``read_as`` is what was extracted from it where that differs; ``score`` may be None."""

    text: str
    read_as: str | None
    score: float | None

    @property
    def mark(self) -> str:
        """``1`` for right, ``0`` for wrong, ``-`` for not scored."""
        return {None: "-", True: "1", False: "0"}[is_right(self.score)]


@dataclass(frozen=True)
class ShownQuestion:
    """A question on the page; ``answers`` are the runs', in their order; ``parts`` places of its categories."""

    id: str
    prompt: str
    references: list[str]
    answers: list[ShownAnswer]
    picture: int | None = None
    parts: tuple[int, ...] = ()
    rotations: tuple["ShownQuestion", ...] = ()

    @property
    def marks(self) -> str:
        """The runs' marks, for the filters."""
        return " ".join(answer.mark for answer in self.answers)

    @property
    def kinds(self) -> str:
        """A number for each run's answer, the same for the same text."""
        texts = [answer.text.strip() for answer in self.answers]
        return " ".join(str(texts.index(text)) for text in texts)


def render_answers_page(records: AnswersRecords, output: Path, room: int = PICTURES_ROOM) -> None:
    """Write the page; every text of the data is escaped, and what can't be seen in it is named."""
    parts = _parts(records.questions)
    pictures, of_place = _pictures(records, room)
    questions = [_shown(records, one, parts, of_place.get(place)) for place, one in enumerate(records.questions)]
    script = (HERE / "filters.js").read_text(encoding="utf-8")
    page = (
        environment(HERE)
        .get_template("answers_page.html.j2")
        .render(
            name=records.protocol.name,
            records=records,
            questions=questions,
            colours=[run_colour(place) for place in range(len(records.runs))],
            parts=_by_kind(parts),
            pictures=Markup(json.dumps(pictures)),  # base64 alone
            pictured=sum(question.picture is not None for question in questions),
            rights=_rights(questions, records.runs),
            own_style=Markup((HERE / "answers_page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            formats=formats,
        )
    )
    with atomic_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _parts(questions: Sequence[ScoredQuestion]) -> list[tuple[str, str]]:
    """Every category with its kind, sorted."""
    return sorted({part for one in questions for part in one.question.categories.items()})


def _by_kind(parts: list[tuple[str, str]]) -> dict[str, list[tuple[int, str]]]:
    """The categories of each kind, each with its place."""
    kinds: dict[str, list[tuple[int, str]]] = {}
    for place, (kind, category) in enumerate(parts):
        kinds.setdefault(kind, []).append((place, category))
    return kinds


def _pictures(records: AnswersRecords, room: int) -> tuple[list[str], dict[int, int]]:
    """Distinct thumbnails, and the place among them of each question's, by the place of the question.

    Where the room does not suffice for all, a hash of the questions' ids chooses.
    """
    thumbnails = Thumbnails(room)
    made: dict[Path | bytes, int | None] = {}
    pictures: list[str] = []
    of_place: dict[int, int] = {}
    for place in by_hash(records.questions):
        question = records.questions[place].question
        if question.image not in made:
            uri = thumbnails.make(question.image, f"question {question.id}", records.protocol.settings.max_pixels)
            made[question.image] = None if uri is None else len(pictures)
            pictures += [uri] if uri else []
        if (picture := made[question.image]) is not None:
            of_place[place] = picture
    return pictures, of_place


def _shown(
    records: AnswersRecords, one: ScoredQuestion, parts: list[tuple[str, str]], picture: int | None = None
) -> ShownQuestion:
    """A scored question with its rotations."""
    places = {part: place for place, part in enumerate(parts)}
    return ShownQuestion(
        id=str(one.question.id),
        prompt=one.question.prompt,
        references=reference_texts(one.question),
        answers=[_answer(records, run, one.question) for run in records.runs],
        picture=picture,
        parts=tuple(places[part] for part in one.question.categories.items()),
        rotations=tuple(_shown(records, ScoredQuestion(other), parts) for other in one.rotations),
    )


def _answer(records: AnswersRecords, run: RunAnswers, question: Question) -> ShownAnswer:
    """A run's answer to a question."""
    prediction = run.predictions.get(question.id)
    text = prediction.text if prediction else ""
    extracted = records.protocol.extract(question, text)
    return ShownAnswer(text, None if extracted == text.strip() else extracted, run.scores.get(question.id))


def _rights(questions: Sequence[ShownQuestion], runs: Sequence[RunAnswers]) -> list[list[int]]:
    """For each two runs the questions that the one answers rightly and the other wrongly."""
    marks = [[answer.mark for answer in question.answers] for question in questions]
    places = range(len(runs))
    return [[sum(row[one] == "1" and row[other] == "0" for row in marks) for other in places] for one in places]
