"""Reading what was found of a benchmark's questions in a training dataset."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from syntune.benchmarks.inputs import read_json_file
from syntune.benchmarks.protocol import Question, QuestionId
from syntune.errors import UserError
from syntune.settings.reading import read_settings


class ContaminatedIds(BaseModel):
    """The ids of contaminated questions.

    Attributes:
        both: a training row holds the question's text and its image, or one that looks the same.
        text: some training row holds its text.
        image: some training row holds its image, or one that looks the same.
    """

    both: set[QuestionId]
    text: set[QuestionId]
    image: set[QuestionId]


class Found(BaseModel):
    """What was found of a benchmark in a dataset, as far as scores need it."""

    questions: int
    question_ids: ContaminatedIds


class FindingsFile(BaseModel):
    """What was found of every benchmark in a dataset."""

    dataset: str
    benchmarks: dict[str, Found]


class Findings(BaseModel):
    """What was found of one benchmark in a dataset."""

    dataset: str
    ids: ContaminatedIds


def read_findings(path: str | Path, benchmark: str, questions: Sequence[Question]) -> Findings:
    """Read what was found of ``benchmark``.

    Raises:
        UserError: other questions than ``questions`` were looked for.
    """
    content = read_settings(read_json_file(path), FindingsFile, str(path))
    found = content.benchmarks.get(benchmark)
    asked = {question.id for question in questions}
    ids = found.question_ids.text | found.question_ids.image if found else set()
    if found is None or found.questions != len(asked) or not ids <= asked:
        raise UserError(
            f"{path}: these are not findings on the {len(asked)} questions of benchmark '{benchmark}' that are scored; "
            "delete it and run snakemake again"
        )
    return Findings(dataset=content.dataset, ids=found.question_ids)
