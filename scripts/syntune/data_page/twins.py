"""The kept row that is most like a dropped near-duplicate, where the lineage does not name it."""

import re
from heapq import nlargest
from pathlib import Path
from typing import Any

import imagehash

from syntune.errors import UserError
from syntune.images import open_image

_WORD = re.compile(r"\w+")
_CANDIDATES = 24
_ALIKE = 0.6
"""The share of words in common from which on two rows' looks are compared."""


class TwinSearch:
    """Compares rows with a few dropped ones: words and equal images first, then the looks of the best candidates."""

    def __init__(self, dropped: dict[str, dict[str, Any]]) -> None:
        """``dropped`` holds the rows to find twins for, by id."""
        self.dropped = dropped
        self._words = {name: _words(row) for name, row in dropped.items()}
        self._found: dict[str, list[tuple[float, str, dict[str, Any]]]] = {name: [] for name in dropped}

    def see(self, row: dict[str, Any]) -> None:
        """Compare a kept row."""
        if not self.dropped:
            return
        words = _words(row)
        for name, other in self.dropped.items():
            same = bool(row["image_sha256"]) and row["image_sha256"] == other["image_sha256"]
            both = words | self._words[name]
            likeness = len(words & self._words[name]) / len(both) if both else 0.0
            if row["id"] != name and (same or likeness > _ALIKE):
                found = self._found[name]
                found.append((likeness + same, row["id"], row))
                if len(found) > 50 * _CANDIDATES:
                    self._found[name] = nlargest(_CANDIDATES, found, key=_by_likeness)

    def twins(self) -> dict[str, dict[str, Any]]:
        """For each row that has one, the kept row most like it."""
        looks: dict[str, imagehash.ImageHash | None] = {}
        chosen = {}
        for name, found in self._found.items():
            best: tuple[float, str, dict[str, Any]] | None = None
            for likeness, row_id, row in nlargest(_CANDIDATES, found, key=_by_likeness):
                words = likeness - (likeness > 1)
                scored = (words + _look_likeness(row, self.dropped[name], looks), row_id, row)
                best = scored if best is None or scored[0] > best[0] else best
            if best and best[0] >= 1:  # equal texts, equal images, or much of both
                chosen[name] = best[2]
        return chosen


def _by_likeness(candidate: tuple[float, str, dict[str, Any]]) -> tuple[float, str]:
    """What candidates are ordered by: equal ones by their ids."""
    return candidate[:2]


def _words(row: dict[str, Any]) -> frozenset[str]:
    """A row's words."""
    return frozenset(_WORD.findall(row["text"].lower()))


def _look_likeness(one: dict[str, Any], other: dict[str, Any], looks: dict[str, imagehash.ImageHash | None]) -> float:
    """How much the first images look alike: 1 for equal perceptual hashes, 0 for unlike ones or none."""
    if one["image_sha256"] == other["image_sha256"]:
        return 1.0
    if not one["images"] or not other["images"]:
        return 0.0
    first, second = (_look(row["images"][0], looks) for row in (one, other))
    return 0.0 if first is None or second is None else max(0.0, 1 - (first - second) / 16)


def _look(path: str, looks: dict[str, imagehash.ImageHash | None]) -> imagehash.ImageHash | None:
    """An image's perceptual hash; None where it can't be read any more."""
    if path not in looks:
        try:
            looks[path] = imagehash.phash(open_image(Path(path), path, max_pixels=None))
        except UserError:
            looks[path] = None
    return looks[path]
