"""What reading a seed gives: rows as they stand, records as they are meant, and faults."""

import os
from pathlib import Path
from typing import Any, NamedTuple

MISSING_IMAGE, BAD_IMAGE = "missing image", "bad image"
IMAGE_REASONS = (MISSING_IMAGE, BAD_IMAGE)
"""Reasons for which the setting ``bad_image`` decides; ``bad_record`` does for all others."""

MALFORMED = "not valid JSON"
NO_TEXT = "no text or conversation"
WRONG_VALUE = "wrong value"
UNKNOWN_ROLE = "unknown role"
MARKS_DIFFER = "images and their marks differ"
UNREAD_PICTURES = "pictures under an unread key"
OUTSIDE = "image outside the images' folder"
FORGED = "Data-Juicer's marks in a turn"
"""Reasons for which a record cannot be read."""

LFS_POINTER = b"version https://git-lfs"
"""How the text begins that stands in a file's place in a clone without Git LFS."""


class Row(NamedTuple):
    """One row as a file holds it."""

    where: str
    """The file and the line, record or row, for messages."""
    value: Any
    folder: Path
    """Where image paths start from unless the settings say so."""


class Record(NamedTuple):
    """One image-text record as it is meant."""

    where: str
    id: str | None
    images: list[Path] | list[bytes] | list[Path | bytes]
    text: str
    """Data-Juicer text with one mark for each image."""
    unused: tuple[str, ...] = ()
    """Keys that are not read."""
    notes: tuple[str, ...] = ()
    """What was read otherwise than it is spelled, for the manifest to count."""


class Fault(NamedTuple):
    """A record that cannot be read."""

    where: str
    id: str | None
    reason: str
    """One of a few, to be counted."""
    message: str


def legible(name: str) -> str:
    """A file's name as it can be written: of one that is not UTF-8, the other bytes are spelled out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


class Unreadable(Exception):
    """Raised while a row is read; it becomes a :class:`Fault`."""

    def __init__(self, reason: str, message: str) -> None:
        """``message`` names the key; the place is added where the row is known."""
        super().__init__(message)
        self.reason = reason
