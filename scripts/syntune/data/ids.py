"""Ids that no two rows of a seed share."""

from syntune.data.faults import REPEATED_ID
from syntune.data.formats.records import Fault, Record
from syntune.files import canonical_json, sha256_bytes


class Ids:
    """The ids given so far, and where; about 200 bytes of memory each."""

    def __init__(self, repeated: str) -> None:
        """``repeated`` is the setting ``repeated_ids``."""
        self._repeated = repeated
        self._seen: dict[str, str] = {}

    def take(self, record: Record, images: list[str]) -> str | Fault:
        """The record's own id, or one derived from its content (``images`` are the hashes of its images).

        An id that was used before is numbered, ``id-2``; if it is the record's own and the settings do not say so, it
        is a fault.
        """
        own = record.id
        if own is None:
            own = sha256_bytes(canonical_json([images, record.text]).encode())[:16]
        elif own in self._seen and self._repeated == "refuse":
            return Fault(record.where, own, REPEATED_ID, f"id {own} was used before ({self._seen[own]})")
        unique, number = own, 1
        while unique in self._seen:
            number += 1
            unique = f"{own}-{number}"
        self._seen[unique] = record.where
        return unique
