"""Remarks: sentences with what they mean for the reader; alike ones of several runs become one with a small table."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["good", "bad", "look", "note"]

_APART = 2
"""So many signs alike are told apart; more share a line and a table."""


@dataclass(frozen=True)
class Remark:
    """A sentence and what it means for the reader; ``rows`` are of a small table under it, by column."""

    level: Level
    text: str
    rows: tuple[dict[str, str], ...] = ()


@dataclass(frozen=True)
class Sign:
    """Something that may be true of several runs.

    Attributes:
        level: what it means for the reader.
        text: how it is told alone.
        heading: how several alike are told, above their table; empty where each is told alone.
        row: its line of that table, by column.
    """

    level: Level
    text: str
    heading: str = ""
    row: dict[str, str] = field(default_factory=dict)


def told(signs: Iterable[Sign]) -> list[Remark]:
    """The signs in words, those that share level and heading where the first of them stands."""
    groups: dict[tuple[str, str], list[Sign]] = {}
    for sign in signs:
        groups.setdefault((sign.level, sign.heading or sign.text), []).append(sign)
    remarks = []
    for (level, heading), group in groups.items():
        if len(group) > _APART and group[0].heading:
            remarks.append(Remark(level, heading, tuple(sign.row for sign in group)))
        else:
            remarks += [Remark(sign.level, sign.text) for sign in group]
    return remarks
