"""What earlier ingests of a seed found out about its images.

Of a file its hash, as long as path, size, time and inode are the same; of a content that it can be decoded, as long as
code and limits are the same. So a record that is added, another number of chunks or another package decodes nothing
again, and a file that was only touched is read once more, not decoded.
"""

import logging
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import PIL

from syntune.files import canonical_json, sha256_bytes
from syntune.sources import file_digests

log = logging.getLogger("ingest_seed")

_TABLES = """
    CREATE TABLE IF NOT EXISTS hashes (path TEXT PRIMARY KEY, state TEXT NOT NULL, sha256 BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS seen (
        sha256 BLOB, decoder BLOB, is_turned INTEGER NOT NULL, is_transparent INTEGER NOT NULL,
        is_plain INTEGER NOT NULL, PRIMARY KEY (sha256, decoder)
    ) WITHOUT ROWID;
"""

_WAIT = 60
"""Seconds to wait for another process that writes."""


class FileState(NamedTuple):
    """What a file is taken to be the same by."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> "FileState":
        """The state of a file as it is now.

        Raises:
            OSError: there is no such file.
            ValueError: no file can have such a path.
        """
        status = os.stat(path)
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


class Traits(NamedTuple):
    """What is counted of an image.

    Attributes:
        is_turned: it carries an orientation tag that asks for it.
        is_transparent: some of its pixels are, at least in part.
        is_plain: all its pixels are shown in one colour.
    """

    is_turned: bool = False
    is_transparent: bool = False
    is_plain: bool = False


class Known(NamedTuple):
    """An image that could be decoded: its hash, and what is counted of it."""

    sha256: str
    traits: Traits


_TRAITS = ", ".join(Traits._fields)


class ImageCache:
    """One SQLite file a seed, which only its ingest writes. One that cannot be used is done without."""

    def __init__(self, path: Path | None, limits: dict[str, object]) -> None:
        """Open the cache.

        Args:
            path: the file; None remembers nothing.
            limits: what an image is decoded within, by name.
        """
        code = {name: digest for name, digest in file_digests("ingest_seed").items() if "/images" in name}
        self._decoder = bytes.fromhex(sha256_bytes(canonical_json([PIL.__version__, code, limits]).encode()))[:16]
        self._lock = Lock()
        self._database = self._open(path) if path else None

    def _open(self, path: Path) -> sqlite3.Connection | None:
        """The database; one that is damaged is begun anew."""
        path.parent.mkdir(parents=True, exist_ok=True)
        for again in (True, False):
            try:
                database = sqlite3.connect(path, timeout=_WAIT, check_same_thread=False)
                database.executescript(_TABLES)
                return database
            except sqlite3.DatabaseError as error:
                log.warning("%s: %s; images are checked again", path, error)
                if not again or isinstance(error, sqlite3.OperationalError):
                    return None
                path.unlink(missing_ok=True)
        return None

    def close(self) -> None:
        """Close the database."""
        if self._database:
            self._database.close()

    def of_file(self, path: Path, state: FileState) -> Known | None:
        """What is known of a file that is still as it was."""
        found = self._ask(
            f"SELECT sha256, {_TRAITS} FROM hashes JOIN seen USING (sha256) WHERE path = ? AND state = ? "
            "AND decoder = ?",
            (str(path), canonical_json(state), self._decoder),
        )
        return Known(found[0].hex(), Traits(*map(bool, found[1:]))) if found else None

    def of_content(self, sha256: str) -> Known | None:
        """What is known of the content of this hash."""
        key = (bytes.fromhex(sha256), self._decoder)
        found = self._ask(f"SELECT {_TRAITS} FROM seen WHERE sha256 = ? AND decoder = ?", key)
        return Known(sha256, Traits(*map(bool, found))) if found else None

    def add(self, images: Iterable[tuple[Known, Path | None, FileState | None]]) -> None:
        """Remember images, each with path and state; of one that came as bytes, None and None."""
        files, contents = [], []
        for known, path, state in images:
            contents.append((bytes.fromhex(known.sha256), self._decoder, *known.traits))
            if path and state:
                files.append((str(path), canonical_json(state), bytes.fromhex(known.sha256)))
        if self._database is None or not contents:
            return
        try:
            with self._database:
                self._database.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", files)
                self._database.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?, ?)", contents)
        except sqlite3.DatabaseError as error:
            self._give_up(error)

    def _ask(self, query: str, values: tuple) -> tuple | None:
        """The first row that a query finds."""
        with self._lock:
            if self._database is None:
                return None
            try:
                return self._database.execute(query, values).fetchone()
            except sqlite3.DatabaseError as error:
                self._give_up(error)
                return None

    def _give_up(self, error: sqlite3.DatabaseError) -> None:
        """Do without the cache from here on."""
        log.warning("the cache of image checks cannot be used (%s); images are checked again", error)
        self.close()
        self._database = None
