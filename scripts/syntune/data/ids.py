"""Ids that no two rows of a seed share."""

import sqlite3
from pathlib import Path

from syntune.data.faults import REPEATED_ID
from syntune.data.formats.records import Fault, Record
from syntune.files import canonical_json, sha256_bytes

_TABLE = "CREATE TABLE ids (id TEXT PRIMARY KEY, place TEXT NOT NULL, number INTEGER NOT NULL) WITHOUT ROWID"

_IN_MEMORY = 32 * 1024
"""KiB of the table that are in memory at a time."""


class Ids:
    """The ids given so far, and where, in a table on disk: memory does not grow with the rows."""

    def __init__(self, repeated: str, folder: Path | None = None) -> None:
        """Nothing given yet.

        Args:
            repeated: the setting ``repeated_ids``.
            folder: where the table's file lies until this is closed; None, for a few ids: in memory.
        """
        self._repeated = repeated
        self._file = folder / "ids.sqlite" if folder else None
        self._database = sqlite3.connect(self._file or ":memory:", isolation_level=None)
        for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_IN_MEMORY}"):
            self._database.execute(f"PRAGMA {pragma}")
        self._database.execute(_TABLE)
        self._database.execute("BEGIN")

    def __enter__(self) -> "Ids":
        return self

    def __exit__(self, *error: object) -> None:
        self._database.close()
        if self._file:
            self._file.unlink()

    def take(self, record: Record, images: list[str]) -> str | Fault:
        """The record's own id, or one derived from its content (``images`` are the hashes of its images).

        An id that was used before is numbered, ``id-2``; if it is the record's own and the settings do not say so, it
        is a fault.
        """
        own = record.id
        if own is None:
            own = sha256_bytes(canonical_json([images, record.text]).encode())[:16]
        if self._add(own, record.where):
            return own
        place, number = self._database.execute("SELECT place, number FROM ids WHERE id = ?", (own,)).fetchone()
        if record.id is not None and self._repeated == "refuse":
            return Fault(record.where, own, REPEATED_ID, f"id {own} was used before ({place})")
        while not self._add(unique := f"{own}-{number + 1}", record.where):
            number += 1
        self._database.execute("UPDATE ids SET number = ? WHERE id = ?", (number + 1, own))
        return unique

    def _add(self, row_id: str, place: str) -> bool:
        """Give an id away, unless it was given before."""
        found = self._database.execute("INSERT OR IGNORE INTO ids VALUES (?, ?, 1)", (row_id, place))
        return found.rowcount == 1
