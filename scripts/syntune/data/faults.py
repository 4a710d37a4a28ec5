"""Records that cannot be taken: listed and refused, or counted, dropped and put into quarantine."""

import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TextIO

from syntune.data.formats.records import BAD_IMAGE, IMAGE_REASONS, MISSING_IMAGE, Fault, Record
from syntune.errors import UserError
from syntune.settings.seeds import SeedSettings

log = logging.getLogger("ingest_seed")

REPEATED_ID = "repeated id"

_LISTED = 20
"""Faults that are listed one by one; beyond, they are counted."""


class Faults:
    """What becomes of a seed's faulty records.

    Attributes:
        read: records read, faulty ones included.
        dropped: records dropped, by reason.
    """

    def __init__(self, settings: SeedSettings, quarantine: TextIO) -> None:
        """``quarantine`` is open for writing: a JSON line for each record that is dropped."""
        self._settings, self._quarantine = settings, quarantine
        self.read = 0
        self.dropped: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._listed: list[Fault] = []

    def sift(self, records: Iterable[Record | Fault]) -> Iterator[Record]:
        """The records that could be read; the others are added."""
        for record in records:
            self.read += 1
            if isinstance(record, Fault):
                self.add(record)
            else:
                yield record

    def add(self, fault: Fault) -> None:
        """Refuse a record, or drop it, as the settings say for its reason."""
        if self._decision(fault.reason) == "refuse":
            self._refused[fault.reason] += 1
            if len(self._listed) < _LISTED:
                self._listed.append(fault)
        else:
            self.dropped[fault.reason] += 1
            self._quarantine.write(json.dumps(fault._asdict(), ensure_ascii=False) + "\n")
            if self.dropped.total() <= _LISTED:
                log.warning("dropped %s: %s", fault.where, fault.message)

    def check(self, name: str) -> None:
        """Refuse the seed ``name`` if one of its records was.

        Raises:
            UserError: it names the record, or the number of them by reason where there are several.
        """
        refused = self._refused.total()
        if not refused:
            return
        reasons = set(self._refused) - ({BAD_IMAGE} if MISSING_IMAGE in self._refused else set())
        advice = " and ".join(sorted({self._advice(reason) for reason in reasons}))
        if refused == 1:
            raise UserError(f"{self._listed[0].where}: {self._listed[0].message}; repair it, or set {advice}")
        for fault in self._listed:
            log.error("%s: %s", fault.where, fault.message)
        if refused > _LISTED:
            log.error("and %d more", refused - _LISTED)
        first = self._listed[0]
        raise UserError(
            f"seeds.{name}: {refused} of {self.read} records cannot be taken ({counted(self._refused)}), listed above, "
            f"such as {first.where}: {first.message}; repair them, or set {advice}"
        )

    def _decision(self, reason: str) -> str:
        """What the settings say."""
        return self._settings.bad_image if reason in IMAGE_REASONS else self._settings.bad_record

    def _advice(self, reason: str) -> str:
        """The setting that takes records of a reason, or drops them."""
        if reason == REPEATED_ID:
            return "repeated_ids: number"
        if reason == MISSING_IMAGE:
            return "images to the folder that image paths start from, or bad_image: drop"
        return "bad_image: drop" if reason in IMAGE_REASONS else "bad_record: drop"


def counted(reasons: Counter[str]) -> str:
    """Reasons with their numbers, the most frequent first."""
    return ", ".join(f"{number} {reason}" for reason, number in reasons.most_common())
