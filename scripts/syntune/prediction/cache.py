"""Answers that were given before, found again by content: of model, code, decoding, prompt and image."""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from syntune.artifacts.store import Store
from syntune.files import canonical_json, sha256_bytes
from syntune.prediction.plan import AnsweredQuestion, GeneratedAnswer, HashedQuestion
from syntune.settings.pixels import AS_VIEWERS


class AnswerCache:
    """The answers of one way of answering; a context manager."""

    def __init__(self, folder: Path, way: dict[str, Any]) -> None:
        """Read what is there.

        Args:
            folder: the folder of all caches.
            way: all that an answer depends on besides the question: content hashes and decoding.
        """
        self._store = Store(folder, way)

    def __enter__(self) -> "AnswerCache":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._store.__exit__(kind, error, trace)

    @property
    def folder(self) -> Path:
        """The folder of this way's journals."""
        return self._store.folder

    def get(self, asked: HashedQuestion) -> GeneratedAnswer | None:
        """The answer to a question, if there is one."""
        found = self._store.get(_key(asked))
        return found and GeneratedAnswer(*found)

    def add(self, answers: Iterable[AnsweredQuestion]) -> None:
        """Keep answers; when this returns they are on the disk."""
        self._store.add({_key(asked): [answer.text, answer.tokens, answer.near_tie] for asked, answer in answers})


def _key(asked: HashedQuestion) -> str:
    """SHA-256 over prompt and image, and over what is seen otherwise than viewers show it."""
    otherwise = [f"{name} {value}" for name, value in asked.seen if value != getattr(AS_VIEWERS, name)]
    return sha256_bytes(canonical_json([asked.question.prompt, asked.image, *otherwise]).encode())
