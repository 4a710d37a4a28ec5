"""A global stage: operators that compare or choose among all rows, by columns alone; the rows are streamed.

What an operator must offer, Data-Juicer's and ours alike:

- ``compute_hash(sample)``, where it needs more than statistics: adds columns to one row. It is called chunk by chunk.
- ``process(dataset)``: gets ``id``, these columns and, a selector, ``__dj__stats__``, of all rows in their order. It
  returns ``dataset.select(indices)``, or ``dataset.filter(...)``; a deduplicator returns that and a second value. An
  index may repeat: the row is repeated, each copy under an id of its own (``parent#NAME-1``). Order says nothing.
- ``pairs`` and ``limit``, where a deduplicator can say which row stayed for which: ``(kept_id, dropped_id, distance)``
  and what the distance was compared with. The lineage then tells it.
"""

import logging
from collections.abc import Iterator
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from syntune.artifacts.lineage import ADDED, DROPPED, Event, LineageWriter
from syntune.data.accounts import Step
from syntune.data.columns import POSITION, read_columns, read_ids
from syntune.data.juicer import STATS, load_operator
from syntune.data.synthetic_rows import as_line, derived_ids, read_rows
from syntune.data.thresholds import numbers
from syntune.errors import UserError
from syntune.files import atomic_file
from syntune.recipes.reading import Recipe

log = logging.getLogger("select_rows")


class Chunk(NamedTuple):
    """The files of a chunk: rows and columns of the stage before, rows and lineage to write."""

    rows: Path
    columns: Path
    output: Path
    lineage: Path


class _Choice(NamedTuple):
    """What one operator did: how often each row was there before, and after."""

    name: str
    before: np.ndarray
    after: np.ndarray
    score: str | None
    values: dict[int, float]
    limits: dict[int, str] | str | None

    def step(self, part: slice) -> Step:
        """The account of a chunk's rows."""
        change = self.after[part].astype(np.int64) - self.before[part]
        added, dropped = int(change[change > 0].sum()), int(-change[change < 0].sum())
        return Step(self.name, int(self.before[part].sum()), added, dropped, int(self.after[part].sum()))


def select_rows(operators: Recipe, chunks: list[Chunk], where: str) -> list[list[Step]]:
    """Run a global stage's operators, and write the rows that they leave, each in its own chunk.

    In memory are ids, counts and the columns of one operator at a time, never rows.

    Returns:
        the steps of each chunk.

    Raises:
        UserError: the recipe is wrong or an operator failed.
    """
    columns = [chunk.columns for chunk in chunks]
    ids = read_ids(columns)
    sizes = [read_ids([file]).num_rows for file in columns]
    counts = np.ones(ids.num_rows, np.int32)
    choices = []
    for number, (name, parameters) in enumerate(operators):
        choice = _choose(number, name, parameters, columns, counts, where)
        log.info("%s: %d rows in, %d added, %d dropped, %d rows out", *choice.step(slice(None)))
        counts = choice.after
        choices.append(choice)
    names = _NewIds(ids["id"], choices)
    starts = np.cumsum([0, *sizes])
    steps = []
    for chunk, (start, end) in zip(chunks, pairwise(starts.tolist()), strict=True):
        _write_chunk(chunk, start, counts[start:end], ids.slice(start, end - start), choices, names)
        steps.append([choice.step(slice(start, end)) for choice in choices])
    return steps


def _choose(
    number: int, name: str, parameters: dict[str, Any], files: list[Path], counts: np.ndarray, where: str
) -> _Choice:
    """Run one operator over its columns of the rows that are still there."""
    from data_juicer.core.data import NestedDataset
    from data_juicer.ops.base_op import Selector
    from datasets import Dataset

    operator = load_operator(name, parameters, where)
    is_selector = isinstance(operator, Selector)
    field = str(parameters.get("field_key", ""))
    stat = field.removeprefix(f"{STATS}.") if field.startswith(f"{STATS}.") else None
    wanted = (stat or "*") if is_selector and (stat or not field) else None
    positions = np.repeat(np.arange(len(counts)), counts)
    if not len(positions):
        return _Choice(name, counts, counts, None, {}, None)
    table = read_columns(files, number, positions, wanted)
    try:
        made = operator.process(_dataset(NestedDataset, Dataset, table))
        left = np.array((made if is_selector else made[0])[POSITION], dtype=np.int64)
    except Exception as error:  # whatever fails inside an operator
        raise UserError(f"operator {name} failed: {type(error).__name__}: {error}") from error
    after = np.bincount(left, minlength=len(counts)).astype(np.int32)
    told = _choices_of_selector(table, after, stat, parameters) if is_selector else _duplicates(table, after, operator)
    return _Choice(name, counts, after, *told)


_Told = tuple[str | None, dict[int, float], dict[int, str] | str | None]
"""A choice's score, the values and the limits of the rows that went."""


def _choices_of_selector(table: pa.Table, after: np.ndarray, stat: str | None, parameters: dict[str, Any]) -> _Told:
    """What a selector ranked by, and its numbers: ``topk 100``."""
    limit = ", ".join(f"{key} {value}" for key, value in parameters.items() if numbers(value)) or None
    if not stat:
        return None, {}, limit
    scores = zip(table[POSITION].to_pylist(), table[STATS].to_pylist(), strict=True)
    return stat, {place: found[0] for place, row in scores if not after[place] and (found := numbers(row[stat]))}, limit


def _duplicates(table: pa.Table, after: np.ndarray, operator: Any) -> _Told:
    """The row that stayed for each that went: as the operator tells in its ``pairs``, or the one of the same hash."""
    if hasattr(operator, "pairs"):
        place_of = dict(zip(table["id"].to_pylist(), table[POSITION].to_pylist(), strict=True))
        pairs = [(place_of[pair.dropped_id], pair) for pair in operator.pairs]
        limits = {place: f"{operator.limit}, duplicate of {pair.kept_id}" for place, pair in pairs}
        return "distance", {place: pair.distance for place, pair in pairs}, limits
    columns = [name for name in table.column_names if name not in ("id", POSITION)]
    if len(columns) != 1 or not pa.types.is_string(table.schema.field(columns[0]).type):
        return None, {}, None
    is_gone = pa.array(after[table[POSITION].to_numpy()] == 0)
    gone = table.filter(is_gone)
    stayed = table.filter(pc.and_not(pc.is_in(table[columns[0]], gone[columns[0]].combine_chunks()), is_gone))
    kept = dict(zip(stayed[columns[0]].to_pylist(), stayed["id"].to_pylist(), strict=True))
    pairs = zip(gone[POSITION].to_pylist(), gone[columns[0]].to_pylist(), strict=True)
    return None, {}, {place: f"duplicate of {kept[value]}" for place, value in pairs if value in kept}


def _dataset(nested: type, plain: type, table: pa.Table) -> Any:
    """Columns as Data-Juicer's dataset, whose ``filter`` asks row by row without the detours of the original."""
    dataset = nested(plain(table, fingerprint="selection"))  # else the whole table is pickled for a hash

    def filtered(function: Any, with_indices: bool = False, fn_kwargs: dict | None = None, **_: Any) -> Any:
        """The rows for which ``function`` is true."""
        batches = dataset.data.table.to_batches(max_chunksize=10_000)
        rows = chain.from_iterable(batch.to_pylist() for batch in batches)
        extra = fn_kwargs or {}
        kept = [
            index
            for index, row in enumerate(rows)
            if function(row, *((index,) if with_indices else ()), **extra)
        ]  # fmt: skip
        return dataset.select(kept)

    dataset.filter = filtered
    without = dataset.remove_columns
    dataset.remove_columns = lambda names: _dataset(nested, plain, without(names).data.table)
    return dataset


class _NewIds:
    """Ids for repeated rows, named by the operator that repeated them."""

    def __init__(self, ids: pa.ChunkedArray, choices: list[_Choice]) -> None:
        """Look for ids that are taken, only where rows were repeated."""
        adding = [choice.name for choice in choices if (choice.after > choice.before).any()]
        self.operator = adding[-1] if adding else None
        self.taken = {row_id for row_id in ids.to_pylist() if "#" in row_id} if adding else set()

    def of(self, parent: str, number: int) -> Iterator[str]:
        """So many ids for copies of a row."""
        return islice(derived_ids(parent, self.operator or "", self.taken), number)


def _write_chunk(
    chunk: Chunk, start: int, counts: np.ndarray, ids: pa.Table, choices: list[_Choice], names: _NewIds
) -> None:
    """Stream a chunk's rows, those that are left, and tell of the others."""
    part = slice(start, start + len(counts))
    with (
        atomic_file(chunk.output) as rows_file,
        atomic_file(chunk.lineage) as lineage_file,
        rows_file.open("w", encoding="utf-8") as lines,
        LineageWriter(lineage_file) as told,
    ):
        for choice in choices:
            gone = np.flatnonzero((choice.before[part] > 0) & (choice.after[part] == 0))
            rows = ids.take(pa.array(gone)).to_pylist()
            for place, row in zip(gone.tolist(), rows, strict=True):
                value, limits = choice.values.get(start + place), choice.limits
                limit = limits.get(start + place) if isinstance(limits, dict) else limits
                decided = (choice.score if value is not None else None, value, limit)
                told.tell([Event(row["seed_id"], row["id"], choice.name, DROPPED, *decided)])
        for row, often in zip(read_rows(chunk.rows), counts.tolist(), strict=True):
            if often:
                lines.write(as_line(row))
            for row_id in names.of(row["id"], often - 1) if often > 1 else ():
                lines.write(as_line(row | {"id": row_id}))
                told.tell([Event(row["seed_id"], row_id, names.operator or "", ADDED)])
