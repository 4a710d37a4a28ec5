"""Answers that were given before, found again by content: of model, code, decoding, prompt and image.

A folder for each way of answering (model, code, decoding) holds journals, one a job: lines are only ever appended, and
only to a journal of one's own, so any number of jobs may run at once, also on a network's file system. Each line
carries a checksum; one that is damaged or was half written counts for nothing.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

from syntune.files import canonical_json, sha256_bytes, write_json
from syntune.prediction.plan import AnsweredQuestion, GeneratedAnswer, HashedQuestion


class AnswerCache:
    """The answers of one way of answering; a context manager."""

    def __init__(self, folder: Path, way: dict[str, Any]) -> None:
        """Read what is there.

        Args:
            folder: the folder of all caches.
            way: all that an answer depends on besides the question: content hashes and decoding.
        """
        self._way = sha256_bytes(canonical_json(way).encode())
        self.folder = folder / self._way
        self._journal = None
        self._answers = dict(self._read())
        if not (self.folder / "way.json").exists():
            write_json(self.folder / "way.json", way)

    def __enter__(self) -> "AnswerCache":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._journal:
            self._journal.close()

    def get(self, asked: HashedQuestion) -> GeneratedAnswer | None:
        """The answer to a question, if there is one."""
        return self._answers.get(_key(asked))

    def add(self, answers: Iterable[AnsweredQuestion]) -> None:
        """Keep answers; when this returns they are on the disk."""
        if self._journal is None:
            self._journal = (self.folder / f"{uuid4().hex}.jsonl").open("w", encoding="utf-8")
        for asked, answer in answers:
            record = [_key(asked), answer.text, answer.tokens]
            self._answers[record[0]] = answer
            self._journal.write(json.dumps([*record, self._checksum(record)], ensure_ascii=False) + "\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())

    def _read(self) -> Iterator[tuple[str, GeneratedAnswer]]:
        """The key and answer of each sound line."""
        for path in sorted(self.folder.glob("*.jsonl")):
            for line in path.read_bytes().splitlines():
                with suppress(TypeError, ValueError):
                    *record, checksum = json.loads(line)
                    if checksum == self._checksum(record):
                        key, text, tokens = record
                        yield key, GeneratedAnswer(text, tokens)

    def _checksum(self, record: list[Any]) -> str:
        """Of a record and the way of answering: a line that was moved to another folder is not sound."""
        return sha256_bytes(canonical_json([self._way, record]).encode())


def _key(asked: HashedQuestion) -> str:
    """SHA-256 over prompt and image, and over its orientation tag being ignored."""
    ignored = ["orientation ignored"] if asked.orientation == "ignore" else []
    return sha256_bytes(canonical_json([asked.question.prompt, asked.image, *ignored]).encode())
