"""Tables on disk for what would not fit into memory: as long as a job works, and no longer."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

_IN_MEMORY = 32 * 1024
"""KiB of a database that are in memory at a time."""


@contextmanager
def scratch_database(folder: Path) -> Iterator[sqlite3.Connection]:
    """An empty SQLite database in a file of ``folder``, which is removed in the end. Nothing is safe from a crash.

    Nobody else opens it, so it is not locked: some network file systems have no locks.
    """
    file = folder / "scratch.sqlite"
    address = f"{file.resolve().as_uri()}?nolock=1"
    try:
        with closing(sqlite3.connect(address, uri=True, isolation_level=None)) as database:
            for pragma in ("journal_mode = OFF", "synchronous = OFF", f"cache_size = -{_IN_MEMORY}"):
                database.execute(f"PRAGMA {pragma}")
            database.execute("BEGIN")
            yield database
    finally:
        file.unlink(missing_ok=True)
