"""What global operators compare, computed chunk by chunk and kept beside the rows as Parquet.

Beside ``id``, ``seed_id`` and ``stats`` (as JSON text) there is a column ``{number}.{name}`` for each that the global
operator of that number adds in its ``compute_hash``. A million rows are thus compared without a row being read.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from syntune.artifacts.remaking import remake
from syntune.batches import in_batches
from syntune.data.juicer import STATS, compute_columns, load_operator
from syntune.data.synthetic_rows import BATCH, Row, read_rows
from syntune.errors import UserError, one_line
from syntune.files import atomic_file
from syntune.recipes.reading import Recipe
from syntune.recipes.stages import chooses_by_field

POSITION = "__position"
"""The place of a row among all rows of the stage."""

_ALWAYS = [("id", pa.string()), ("seed_id", pa.string()), ("stats", pa.string())]


def write_columns(rows: Path, operators: Recipe, where: str, output: Path) -> None:
    """Write the columns of one chunk; ``operators`` are the ``columns_of`` of a stage, in order."""
    made = [_Columns(number, *next(iter(of.items())), where) for number, (_, of) in enumerate(operators)]
    with atomic_file(output) as temporary:
        writer = None
        for batch in in_batches(read_rows(rows), BATCH):
            columns = {
                "id": [row["id"] for row in batch],
                "seed_id": [row["seed_id"] for row in batch],
                "stats": [json.dumps(row[STATS], ensure_ascii=False) for row in batch],
            }
            for part in made:
                columns |= part.of(batch)
            if writer is None:
                writer = pq.ParquetWriter(temporary, _schema(columns), compression="zstd", write_page_checksum=True)
            writer.write_table(pa.table(columns, writer.schema))
        writer = writer or pq.ParquetWriter(temporary, pa.schema(_ALWAYS))
        writer.close()


class _Columns:
    """The columns of one global operator."""

    def __init__(self, number: int, name: str, parameters: dict[str, Any], where: str) -> None:
        """``number`` is its place among the stage's global operators."""
        self.number = number
        self.field, self.operator = None, None
        if chooses_by_field(name):
            self.field = parameters.get("field_key", STATS).split(".")[0]
        else:
            self.operator = load_operator(name, parameters, where)

    def of(self, batch: list[Row]) -> dict[str, list]:
        """The columns of a batch."""
        if self.operator is None:
            return {} if self.field == STATS else {f"{self.number}.{self.field}": [row[self.field] for row in batch]}
        computed = compute_columns(self.operator, batch)
        return {f"{self.number}.{name}": [row[name] for row in computed] for name in computed[0]}


def _schema(columns: dict[str, list]) -> pa.Schema:
    """The types of the first batch."""
    types = {name: pa.array(values).type for name, values in columns.items()} | dict(_ALWAYS)
    return pa.schema([(name, pa.string() if pa.types.is_null(kind) else kind) for name, kind in types.items()])


def read_ids(files: Iterable[Path]) -> pa.Table:
    """``id`` and ``seed_id`` of all rows."""
    return pa.concat_tables(_read(file, ["id", "seed_id"]) for file in files)


def _read(file: Path, columns: list[str]) -> pa.Table:
    """Some columns of a file, whose pages must be those that were written."""
    try:
        return pq.read_table(file, columns=columns, page_checksum_verification=True)
    except (OSError, pa.ArrowException) as error:
        raise UserError(f"{file}: damaged ({one_line(error)}); {remake(file)}") from error


def read_columns(files: Iterable[Path], number: int, positions: np.ndarray, stat: str | None) -> pa.Table:
    """What the global operator of this number sees: ids, places and its columns, at ``positions`` in this order.

    Args:
        files: the columns of all chunks, in order.
        number: the operator's place among the stage's global operators.
        positions: the rows that are still there; a repeated one occurs more than once.
        stat: the statistic that it looks at, ``*`` for all of them, None for none.
    """
    prefix, parts = f"{number}.", []
    for file in files:
        own = [name for name in pq.read_schema(file).names if name.startswith(prefix)]
        part = _read(file, ["id", *(["stats"] if stat else []), *own])
        parts.append(part.rename_columns([name.removeprefix(prefix) for name in part.column_names]))
    table = pa.concat_tables([part for part in parts if part.num_rows] or parts[:1], promote_options="permissive")
    if not np.array_equal(positions, np.arange(table.num_rows)):
        table = table.take(pa.array(positions))
    table = table.combine_chunks()
    if stat:
        stats = [json.loads(text) for text in table["stats"].to_pylist()]
        if stat != "*":
            stats = [{stat: row.get(stat)} for row in stats]
        table = table.drop_columns("stats").append_column(STATS, pa.array(stats))
    return table.append_column(POSITION, pa.array(positions))
