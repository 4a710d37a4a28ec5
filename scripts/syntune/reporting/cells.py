"""What tables are made of: cells, headings, a run's name."""

from dataclasses import dataclass, field
from typing import Any

from syntune.reporting.palette import run_colours
from syntune.reporting.records import Records


@dataclass(frozen=True)
class Cell:
    """A table's cell; ``colour`` puts the run's dot before the text, ``share`` draws a bar under it."""

    text: str
    numeric: bool = False
    colour: str | None = None
    share: float | None = None
    level: str | None = None
    code: bool = False


@dataclass(frozen=True)
class Table:
    """A table: the first cell of each row is its heading."""

    caption: str
    columns: list[Cell]
    rows: list[list[Cell]] = field(default_factory=list)


def num(text: str, **more: Any) -> Cell:
    """A number's cell."""
    return Cell(text, numeric=True, **more)


def headings(text: str) -> list[Cell]:
    """Headings from ``"a | b > | c"``, where ``>`` marks a column of numbers."""
    return [Cell(name.strip(" >"), numeric=name.rstrip().endswith(">")) for name in text.split("|")]


def run_cell(records: Records, run: str) -> Cell:
    """A run's name with its colour."""
    return Cell(run, colour=run_colours(records).get(run))
