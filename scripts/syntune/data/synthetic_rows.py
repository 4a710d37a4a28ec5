"""Rows as synthesis reads and writes them, and the ids of the rows that it adds."""

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from syntune.data.juicer import STATS
from syntune.files import read_jsonl

Row = dict[str, Any]

BATCH = 1000
"""Rows that a stage holds at a time."""

_ORDER = ("id", "seed_id", "images", "image_sha256", "text", "stats")


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a seed's or a stage's chunk as Data-Juicer's operators take them."""
    for row in read_jsonl(path):
        row.setdefault("seed_id", row["id"])
        row[STATS] = row.pop("stats", {})
        yield row


def derived_in(path: Path) -> set[str]:
    """The ids of a chunk's rows that may be those of added rows; the other rows are not parsed."""
    with path.open(encoding="utf-8") as lines:
        ids = (json.loads(line)["id"] for line in lines if "#" in line)
        return {row_id for row_id in ids if "#" in row_id}


def as_line(row: Row) -> str:
    """A row as it is written: its statistics under ``stats``, what else operators added to it last."""
    row = {**row, "stats": row.get(STATS, {})}
    row.pop(STATS, None)
    named = {key: row.pop(key) for key in _ORDER}
    return json.dumps(named | row, ensure_ascii=False, allow_nan=False) + "\n"


def derived_ids(parent: str, operator: str, taken: set[str]) -> Iterator[str]:
    """The ids of the rows that ``operator`` makes of ``parent``: parent#qa_choice-1, -2, ...; added to ``taken``."""
    short = operator.removesuffix("_mapper").removesuffix("_selector")
    for number in count(1):
        name = f"{parent}#{short}-{number}"
        if name not in taken:
            taken.add(name)
            yield name
