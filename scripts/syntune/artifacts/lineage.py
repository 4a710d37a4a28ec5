"""Lineage: a Parquet table of what each operator did to each row; rows that it left as they are have no entry."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import compute

from syntune.artifacts.remaking import remake
from syntune.errors import UserError, one_line

LINEAGE = pa.schema(
    {
        "seed_id": pa.string(),  # the seed row that it began with
        "row_id": pa.string(),  # the row itself, which synthesis may have made from that seed row
        "operator": pa.string(),
        "event": pa.string(),  # dropped, changed or added
        "score": pa.string(),  # the statistic that decided, where one did
        "value": pa.float64(),  # the row's own
        "limit": pa.string(),  # what it was held against: "min_score 0.28 (25%)", or the reason in words
    }
)
"""The table's columns."""

DROPPED, CHANGED, ADDED = "dropped", "changed", "added"

_GROUP = 50_000
"""Events in a row group."""


class Event(NamedTuple):
    """One thing that happened to one row."""

    seed_id: str
    row_id: str
    operator: str
    event: str
    score: str | None = None
    value: float | None = None
    limit: str | None = None


class LineageWriter:
    """Writes events in the order in which they are told; memory stays bounded."""

    def __init__(self, path: Path) -> None:
        """``path`` should be a temporary file: what a failure leaves is not whole."""
        self._writer = pq.ParquetWriter(path, LINEAGE, compression="zstd", write_page_checksum=True)
        self._waiting: list[Event] = []

    def __enter__(self) -> "LineageWriter":
        """The writer."""
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """Write what is left and close the file."""
        self._flush()
        self._writer.close()

    def tell(self, events: Iterable[Event]) -> None:
        """Add events."""
        self._waiting.extend(events)
        if len(self._waiting) >= _GROUP:
            self._flush()

    def copy(self, path: Path, prefix: str = "") -> None:
        """Add the events of another table, each row's id behind ``prefix``.

        Raises:
            UserError: the file is missing or has other columns.
        """
        self._flush()
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                for batch in file.iter_batches(_GROUP, columns=LINEAGE.names):
                    table = pa.Table.from_batches([batch]).select(LINEAGE.names).cast(LINEAGE)
                    if prefix:
                        ids = compute.binary_join_element_wise(prefix, table["row_id"], "")
                        table = table.set_column(LINEAGE.get_field_index("row_id"), LINEAGE.field("row_id"), ids)
                    self._writer.write_table(table)
        except (OSError, KeyError, pa.ArrowException) as error:
            raise UserError(f"{path}: not a readable lineage ({one_line(error)}); {remake(path)}") from error

    def _flush(self) -> None:
        """Write a row group."""
        if self._waiting:
            columns = dict(zip(LINEAGE.names, zip(*self._waiting, strict=True), strict=True))
            self._writer.write_table(pa.table({name: list(values) for name, values in columns.items()}, LINEAGE))
            self._waiting = []
