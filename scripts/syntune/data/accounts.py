"""Accounts of a stage: what each operator did to how many rows."""

from collections.abc import Iterable
from typing import NamedTuple

from syntune.artifacts.reports import ChunkReport

EMPTY = "empty text"
"""The reason for dropping a row that an operator left without text."""


class Step(NamedTuple):
    """What one operator did: rows in + added = rows out + dropped."""

    operator: str
    rows_in: int = 0
    added: int = 0
    dropped: int = 0
    rows_out: int = 0

    def plus(self, other: "Step") -> "Step":
        """Both together."""
        return Step(self.operator, *(one + more for one, more in zip(self[1:], other[1:], strict=True)))


def added_up(reports: Iterable[ChunkReport]) -> list[Step]:
    """The steps of several chunks of one stage, operator by operator.

    Rows without text are the only step that a chunk may lack, where it had none; it comes last.
    """
    total: list[Step] = []
    empty = Step(EMPTY)
    for report in reports:
        read = [Step(**step.model_dump()) for step in report.steps]
        regular = [step for step in read if step.operator != EMPTY]
        without = Step(EMPTY, report.rows_out, 0, 0, report.rows_out)
        empty = empty.plus(next((step for step in read if step.operator == EMPTY), without))
        total = [one.plus(other) for one, other in zip(total, regular, strict=True)] if total else regular
    return total + ([empty] if empty.dropped else [])
