"""What was found before, found again by content: a model's answers, scores and captions.

A folder for each way of finding (model, code, settings) holds journals, one a job: lines are only ever appended, and
only to a journal of one's own, so any number of jobs may run at once, also on a network's file system. Each line
carries a checksum; one that is damaged or was half written counts for nothing.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from syntune.files import canonical_json, sha256_bytes, write_json


class Store:
    """The findings of one way, each a list of JSON values under a key; a context manager."""

    def __init__(self, folder: Path, way: Mapping[str, Any], wanted: Collection[str] | None = None) -> None:
        """Read what is there.

        Args:
            folder: the folder of all stores.
            way: all that a finding depends on besides its key.
            wanted: the keys that may be asked for, which alone are kept in memory; None keeps all. A key is a SHA-256
                in hexadecimal digits.
        """
        self._way = sha256_bytes(canonical_json(way).encode())
        self.folder = folder / self._way
        self._journal = None
        self._found = dict(self._read(None if wanted is None else set(wanted)))
        if not (self.folder / "way.json").exists():
            write_json(self.folder / "way.json", way)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._journal:
            self._journal.close()

    def get(self, key: str) -> list[Any] | None:
        """What was found under a key; None where nothing was."""
        return self._found.get(key)

    def add(self, findings: Mapping[str, list[Any]]) -> None:
        """Keep findings; when this returns they are on the disk."""
        if self._journal is None:
            self._journal = (self.folder / f"{uuid4().hex}.jsonl").open("w", encoding="utf-8")
        for key, values in findings.items():
            self._found[key] = values
            record = [key, *values]
            self._journal.write(json.dumps([*record, self._checksum(record)], ensure_ascii=False) + "\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def _read(self, wanted: set[str] | None) -> Iterator[tuple[str, list[Any]]]:
        """The key and values of each sound line that is wanted."""
        for path in sorted(self.folder.glob("*.jsonl")):
            with path.open("rb") as file:
                for line in file:
                    # after two characters a line holds its key, of 64: what is not wanted needs no parsing
                    if wanted is not None and line[2:66].decode("ascii", "replace") not in wanted:
                        continue
                    with suppress(TypeError, ValueError):
                        *record, checksum = json.loads(line)
                        if checksum == self._checksum(record):
                            key, *values = record
                            yield key, values

    def _checksum(self, record: list[Any]) -> str:
        """Of a record and the way: a line that was moved to another folder is not sound."""
        return sha256_bytes(canonical_json([self._way, record]).encode())
