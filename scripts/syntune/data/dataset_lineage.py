"""A dataset's lineage as it is written: that of its synthesis, then the rows that sharding leaves out or repeats."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from syntune.artifacts.lineage import ADDED, DROPPED, Event, LineageWriter
from syntune.files import atomic_file

OPERATOR = "shard"


class DatasetLineage:
    """An open lineage table. ``dropped`` counts, by reason, the rows that :meth:`drop` was told of."""

    def __init__(self, told: LineageWriter) -> None:
        """``told`` writes the table."""
        self.dropped: Counter[str] = Counter()
        self.copy = told.copy
        self._told = told

    def drop(self, reason: str, seed_id: str, row_id: str) -> None:
        """Add a row that is left out, and count it."""
        self.dropped[reason] += 1
        self._told.tell([Event(seed_id, row_id, OPERATOR, DROPPED, limit=reason)])

    def repeat(self, seed_id: str, row_id: str) -> None:
        """Add a row that is another one again, under an id of its own."""
        self._told.tell([Event(seed_id, row_id, OPERATOR, ADDED, limit="repeated")])


@contextmanager
def open_lineage(path: Path) -> Iterator[DatasetLineage]:
    """A lineage table that appears at ``path`` only if the block ends well."""
    with atomic_file(path) as temporary, LineageWriter(temporary) as told:
        yield DatasetLineage(told)
