"""Writing lineage: what became of each row, and why, beside the rows."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from syntune.artifacts.lineage import LINEAGE

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
        self._writer = pq.ParquetWriter(path, LINEAGE, compression="zstd")
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

    def _flush(self) -> None:
        """Write a row group."""
        if self._waiting:
            columns = dict(zip(LINEAGE.names, zip(*self._waiting, strict=True), strict=True))
            self._writer.write_table(pa.table({name: list(values) for name, values in columns.items()}, LINEAGE))
            self._waiting = []


def join_lineage(parts: Iterable[Path], output: Path) -> None:
    """Write the events of several files into one, in their order."""
    with pq.ParquetWriter(output, LINEAGE, compression="zstd") as writer:
        for part in parts:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(_GROUP):
                    writer.write_batch(batch)
