"""NLVR: is a statement about a synthetic image true or false? The worked example of adding a benchmark.

Data: https://github.com/lil-lab/nlvr (version 1, one of the six permutations of an image's boxes).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from syntune.artifacts.reading import read_json_file
from syntune.benchmarks.protocol import Protocol, Question
from syntune.files import write_json
from syntune.settings.benchmarks import NlvrSettings

WORDS = {"true": "true", "yes": "true", "false": "false", "no": "false"}


class Statement(BaseModel):
    """One row of the file of statements."""

    identifier: str
    image: str
    sentence: str
    label: Literal["true", "false"]


class Nlvr(Protocol[NlvrSettings]):
    """One prompt for each statement; its answer is the word true or false (or yes or no) that the text begins with."""

    metric = "exact_match"
    clusters = "sentences"

    def label(self) -> str:
        """NLVR has one protocol only."""
        return "NLVR, true or false"

    def read(self) -> list[Question]:
        """Read the statements; one sentence is told of several images (``1572-0``, ``1572-1``, ...), its group."""
        path = self.settings.statements
        return [
            Question(
                id=statement.identifier,
                prompt=f"{statement.sentence.strip()}\nIs this true or false? Answer with a single word.",
                image=Path(self.settings.images, statement.image),
                references=(statement.label,),
                group=statement.identifier.split("-")[0],
            )
            for statement in read_json_file(path, list[Statement])
        ]

    def extract(self, question: Question, text: str) -> str:
        """``true`` or ``false``; empty if the first word is neither."""
        first = re.match(r"\W*(\w*)", text.lower())
        return WORDS.get(first.group(1), "") if first else ""

    def submission(self, questions: Sequence[Question], texts: Sequence[str], path: Path) -> None:
        """Write the answers by identifier (NLVR has no server)."""
        answers = {q.id: self.extract(q, text) for q, text in zip(questions, texts, strict=True)}
        write_json(path, answers)
