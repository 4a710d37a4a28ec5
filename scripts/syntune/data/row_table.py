"""Where rows lie, in tables on disk: memory does not grow with the rows."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """A row by the file that it is read from; ``order`` is what places are sorted by."""

    order: str
    id: str
    seed_id: str
    file: Path
    offset: int


class RowTable:
    """Places in their order; those of one order by their ids."""

    def __init__(self, database: sqlite3.Connection, name: str, places: Iterable[Place] = ()) -> None:
        """Make a table of this name that holds ``places``."""
        self._database, self._name = database, name
        self._files: dict[Path, int] = {}
        self._rows = 0
        database.execute(
            f'CREATE TABLE "{name}" ("order" TEXT, id TEXT, file INTEGER, offset INTEGER, seed_id TEXT, '
            'PRIMARY KEY ("order", id, file, offset)) WITHOUT ROWID'
        )
        for place in places:
            self.add(place)

    def add(self, place: Place) -> None:
        """Put a place where it belongs."""
        file = self._files.setdefault(place.file, len(self._files))
        values = (place.order, place.id, file, place.offset, place.seed_id)
        self._database.execute(f'INSERT INTO "{self._name}" VALUES (?, ?, ?, ?, ?)', values)
        self._rows += 1

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[Place]:
        return self.read()

    def read(self, start: int = 0, end: int | None = None) -> Iterator[Place]:
        """The places from number ``start`` on, up to ``end``, which is left out."""
        files = list(self._files)
        found = self._database.execute(
            f'SELECT * FROM "{self._name}" ORDER BY "order", id, file, offset LIMIT ? OFFSET ?',
            (-1 if end is None else end - start, start),
        )
        for order, row_id, file, offset, seed_id in found:
            yield Place(order, row_id, seed_id, files[file], offset)

    def holds(self, order: str, row_id: str) -> bool:
        """Whether a row stands here."""
        query = f'SELECT 1 FROM "{self._name}" WHERE "order" = ? AND id = ?'
        return self._database.execute(query, (order, row_id)).fetchone() is not None
