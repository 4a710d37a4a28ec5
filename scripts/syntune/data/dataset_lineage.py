"""A dataset's lineage as it is written: that of its synthesis, then the rows that sharding leaves out or repeats."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from pyarrow import compute
from pyarrow.parquet import ParquetFile, ParquetWriter

from syntune.artifacts.lineage import LINEAGE
from syntune.errors import UserError, one_line
from syntune.files import atomic_file

OPERATOR = "shard"

_BATCH = 20_000
"""Entries in memory at a time."""


class DatasetLineage:
    """An open lineage table. ``dropped`` counts, by reason, the rows that :meth:`drop` was told of."""

    def __init__(self, writer: ParquetWriter) -> None:
        """``writer`` has the columns of a lineage."""
        self.dropped: Counter[str] = Counter()
        self._writer = writer
        self._waiting: list[dict[str, str]] = []

    def copy(self, path: Path, prefix: str = "") -> None:
        """Add the entries of another lineage, each row's id behind ``prefix``.

        Raises:
            UserError: the file is missing or has other columns.
        """
        try:
            with ParquetFile(path) as file:
                for batch in file.iter_batches(_BATCH, columns=LINEAGE.names):
                    table = pa.Table.from_batches([batch]).select(LINEAGE.names).cast(LINEAGE)
                    if prefix:
                        ids = compute.binary_join_element_wise(prefix, table["row_id"], "")
                        table = table.set_column(LINEAGE.get_field_index("row_id"), LINEAGE.field("row_id"), ids)
                    self._writer.write_table(table)
        except (OSError, KeyError, pa.ArrowException) as error:
            raise UserError(
                f"{path}: not a readable lineage ({one_line(error)}); delete it and run snakemake again"
            ) from error

    def drop(self, reason: str, seed_id: str, row_id: str) -> None:
        """Add a row that is left out, and count it."""
        self.dropped[reason] += 1
        self._add(seed_id, row_id, "dropped", reason)

    def repeat(self, seed_id: str, row_id: str) -> None:
        """Add a row that is another one again, under an id of its own."""
        self._add(seed_id, row_id, "added", "repeated")

    def _add(self, seed_id: str, row_id: str, event: str, limit: str) -> None:
        """Add an entry of sharding."""
        entry = {"seed_id": seed_id, "row_id": row_id, "operator": OPERATOR, "event": event, "limit": limit}
        self._waiting.append(entry)
        if len(self._waiting) == _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the drops that still wait."""
        if self._waiting:
            self._writer.write_table(pa.Table.from_pylist(self._waiting, LINEAGE))
            self._waiting.clear()


@contextmanager
def open_lineage(path: Path) -> Iterator[DatasetLineage]:
    """A lineage table that appears at ``path`` only if the block ends well."""
    with atomic_file(path) as temporary, ParquetWriter(temporary, LINEAGE, compression="zstd") as writer:
        lineage = DatasetLineage(writer)
        yield lineage
        lineage.flush()
