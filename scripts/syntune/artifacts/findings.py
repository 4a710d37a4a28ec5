"""A findings file: what was found of every benchmark's questions in a dataset; and pictures of its examples."""

from typing import Any

from syntune.artifacts.questions import QuestionId
from syntune.artifacts.schema import Artifact, Schema


class FoundQuestion(Schema):
    """An example: a question and the training row that holds it.

    Attributes:
        question_id: the question's id.
        question: its own words.
        row: the row's id.
        distance: bits in which the images' perceptual hashes differ; None for the same image, or none.
    """

    question_id: QuestionId
    question: str
    row: str
    distance: int | None


class ContaminatedIds(Schema):
    """The ids of contaminated questions, by the kind of contamination.

    Attributes:
        text: some training row holds the question's text.
        image: some training row holds its image, or one that looks the same.
        both: one training row holds both.
    """

    text: list[QuestionId]
    image: list[QuestionId]
    both: list[QuestionId]


class BenchmarkFindings(Schema):
    """What was found of one benchmark.

    Attributes:
        questions: questions that were looked for.
        text: of these, those whose text is in the data.
        image_exact: those whose image is, pixel for pixel.
        image_near: those of whose image only a similar one is.
        both: those whose text and image are in one row.
        share: ``both`` as a share of the questions.
        question_ids: the contaminated questions.
        row_ids: the rows that hold text and image of a question.
        examples: some questions of each kind: ``text``, ``image_exact``, ``image_near``, ``both``.
    """

    questions: int
    text: int
    image_exact: int
    image_near: int
    both: int
    share: float
    question_ids: ContaminatedIds
    row_ids: list[str]
    examples: dict[str, list[FoundQuestion]]


class Findings(Artifact):
    """The whole file.

    Attributes:
        dataset: the dataset's name.
        settings: those of the search.
        rows: rows that were searched.
        benchmarks: every benchmark by name.
    """

    dataset: str
    settings: dict[str, Any]
    rows: int
    benchmarks: dict[str, BenchmarkFindings]


class ExamplePictures(Artifact):
    """The whole file of thumbnails beside findings, as data URIs; what could not be read or has no room is left out.

    Attributes:
        dataset: the dataset's name.
        questions: by benchmark, then by the question's id as text.
        rows: some images of each training row, by its id.
    """

    dataset: str
    questions: dict[str, dict[str, str]]
    rows: dict[str, list[str]]
