"""Ids that no two rows of a seed share."""

import sqlite3

from syntune.data.faults import REPEATED_ID
from syntune.data.formats.records import Fault, Record
from syntune.files import canonical_json, sha256_bytes


def own_id(record: Record, images: list[str]) -> str:
    """A record's id, or one derived from its content (``images`` are the hashes of its images)."""
    return sha256_bytes(canonical_json([images, record.text]).encode())[:16] if record.id is None else record.id


class Ids:
    """The ids given so far, and where, in a table on disk: memory does not grow with the rows."""

    def __init__(self, repeated: str, database: sqlite3.Connection) -> None:
        """``repeated`` is the setting ``repeated_ids``; the table is made in ``database``."""
        self._repeated, self._database = repeated, database
        database.execute("CREATE TABLE ids (id TEXT PRIMARY KEY, place TEXT, number INTEGER) WITHOUT ROWID")

    def take(self, record: Record, images: list[str]) -> str | Fault:
        """The record's own id, see :func:`own_id`.

        An id that was used before is numbered, ``id-2``; if it is the record's own and the settings do not say so, it
        is a fault.
        """
        own = own_id(record, images)
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
