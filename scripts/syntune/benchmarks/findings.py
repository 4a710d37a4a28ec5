"""The contaminated questions of one benchmark, read from the findings on a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from syntune.artifacts.findings import Findings
from syntune.artifacts.questions import QuestionId
from syntune.artifacts.reading import read_json_file
from syntune.artifacts.remaking import remake
from syntune.benchmarks.protocol import Question
from syntune.errors import UserError

KINDS = ("both", "text", "image")
"""What a training row holds of a question."""


@dataclass(frozen=True)
class ContaminatedQuestions:
    """The contaminated questions of one benchmark in a dataset: their ids, by each of ``KINDS``."""

    dataset: str
    ids: dict[str, set[QuestionId]]


def read_contaminated(path: str | Path, benchmark: str, questions: Sequence[Question]) -> ContaminatedQuestions:
    """Read which of a benchmark's ``questions`` are contaminated.

    Raises:
        UserError: other questions than these were looked for.
    """
    findings = read_json_file(path, Findings, remake(path))
    found = findings.benchmarks.get(benchmark)
    asked = {question.id for question in questions}
    ids = {kind: set(getattr(found.question_ids, kind)) for kind in KINDS} if found else {}
    if found is None or found.questions != len(asked) or not set.union(*ids.values()) <= asked:
        raise UserError(
            f"{path}: these are not findings on the {len(asked)} questions of benchmark '{benchmark}' that are scored; "
            f"{remake(path)}"
        )
    return ContaminatedQuestions(findings.dataset, ids)
