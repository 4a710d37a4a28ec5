"""What the page is made of: figures, samples of scores, and the few rows that are shown."""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from syntune.artifacts.manifests import Manifest
from syntune.data_page.scores import ScoreSample

_KEPT = re.compile(r"\bduplicate of (\S.*)$")
"""The row that a near-duplicate was dropped for, as a lineage's limit names it."""


@dataclass
class FlowStep:
    """A stage or an operator: rows in + added = rows out + dropped; ``changed`` rows are among both.

    The lineage knows operators by name: where a recipe calls one several times, ``changed`` is of all ``calls``.
    """

    stage: str
    name: str
    rows_in: int
    added: int
    dropped: int
    rows_out: int
    changed: int = 0
    calls: int = 1


@dataclass
class Dropped:
    """A row that an operator dropped; ``duplicate_of`` is the row that was kept in its place, where one is known."""

    seed_id: str
    row_id: str
    score: str | None
    value: float | None
    limit: str | None
    duplicate_of: str | None = None
    is_guess: bool = False

    def __post_init__(self) -> None:
        """Find the row that the limit names."""
        if found := _KEPT.search(self.limit or ""):
            self.duplicate_of = found[1]


@dataclass
class Words:
    """What is written most, among ``rows`` rows."""

    rows: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)


@dataclass
class DataRecords:
    """Everything that the page tells of a dataset."""

    shards: Manifest
    rows: Manifest
    seed: Manifest
    steps: list[FlowStep]
    drops: list[tuple[str, str, int]] = field(default_factory=list)
    dropped: dict[str, list[Dropped]] = field(default_factory=dict)
    scores: dict[tuple[str, str], ScoreSample] = field(default_factory=dict)
    limits: dict[str, Counter[str]] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    seed_rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    made_rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    final_rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    quarantine: list[dict[str, Any]] = field(default_factory=list)
    quarantined: int = 0
    words: Words = field(default_factory=Words)

    def is_mixed_in(self, row_id: str) -> bool:
        """Whether a row was taken from another dataset, which has a page of its own."""
        others = tuple(f"{name}/" for name in self.shards.settings.get("mix", {}))
        return bool(others) and row_id.startswith(others)
