"""What a dataset holds, counted while its shards are written: the figures of its manifest and its card."""

import io
import unicodedata
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import Any

from PIL import Image

from syntune.data.distinct import DistinctCount
from syntune.files import canonical_json, sha256_bytes
from syntune.images import FORMATS

WORDS = (0, 1, 2, 3, 5, 8, 12, 20, 30, 50, 100, 200, 500)
"""Upper bounds of the histograms of words; above the last there is no bound."""

PIXELS = (64, 128, 224, 336, 448, 672, 1024, 1536, 2048, 4096)
"""Upper bounds of the histogram of images' longer sides."""

_LETTERS = 200
"""Characters of a text that tell its script."""


class Histogram:
    """Counts of values up to each of ``bounds``, and of those above the last."""

    def __init__(self, bounds: Sequence[int]) -> None:
        """Nothing counted yet."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)

    def add(self, value: int) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1

    def as_details(self) -> dict[str, list[int]]:
        """``up_to``: the bounds; ``counts``: one more than these."""
        return {"up_to": list(self.bounds), "counts": self.counts}


class Statistics:
    """Counts over the rows of a dataset; in memory are hashes of distinct images, rows and answers, no content."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self.rows = 0
        self.image_bytes = 0
        self.answers = 0
        self.words = 0
        self.images_per_row: Counter[str] = Counter()
        self.formats: Counter[str] = Counter()
        self.scripts: Counter[str] = Counter()
        self.left_out: Counter[str] = Counter()
        self.longer_side = Histogram(PIXELS)
        self.question_words = Histogram(WORDS)
        self.answer_words = Histogram(WORDS)
        self._images: set[int] = set()
        self._rows = DistinctCount()
        self._answers = DistinctCount()

    def add(self, messages: list[dict[str, str]], images: list[bytes], hashes: list[str]) -> None:
        """Count a row: its messages, its images' bytes and their SHA-256."""
        self.rows += 1
        self.images_per_row[str(len(images))] += 1
        self._rows.add(sha256_bytes(canonical_json([hashes, messages]).encode()))
        for content, sha256 in zip(images, hashes, strict=True):
            self.image_bytes += len(content)
            if (image := int(sha256[:16], 16)) not in self._images:
                self._images.add(image)
                self._add_image(content)
        for message in messages:
            words = len(message["content"].split())
            if message["role"] == "assistant":
                self.answers += 1
                self.words += words
                self.answer_words.add(words)
                self._answers.add(sha256_bytes(message["content"].encode()))
            else:
                self.question_words.add(words)
        answers = " ".join(message["content"] for message in messages if message["role"] == "assistant")
        self.scripts[script_of(answers)] += 1

    def _add_image(self, content: bytes) -> None:
        """Count a distinct image; only its header is read. The seed's images were decoded before, within limits."""
        try:
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                self.formats[str(image.format)] += 1
                self.longer_side.add(max(image.size))
        except Exception:  # Pillow has limits of its own; a figure is no reason to stop
            self.formats["not read"] += 1

    def as_details(self) -> dict[str, Any]:
        """The manifest's details."""
        return {
            "images": len(self._images),
            "image_bytes": self.image_bytes,
            "image_formats": dict(sorted(self.formats.items())),
            "images_per_row": dict(sorted(self.images_per_row.items(), key=lambda item: int(item[0]))),
            "longer_side": self.longer_side.as_details(),
            "answers": self.answers,
            "distinct_answers": len(self._answers),
            "mean_answer_words": round(self.words / self.answers, 2),
            "answer_words": self.answer_words.as_details(),
            "question_words": self.question_words.as_details(),
            "scripts": dict(sorted(self.scripts.items())),
            "duplicate_rows": self.rows - len(self._rows),
            "turns_left_out": dict(sorted(self.left_out.items())),
        }


def script_of(text: str) -> str:
    """The script that most letters at a text's beginning belong to: ``Latin``, ``CJK``, ...; ``none`` without letters.

    The script is the first word of a letter's Unicode name.
    """
    found = Counter(script for letter in text[:_LETTERS] if (script := _script(letter)))
    return found.most_common(1)[0][0] if found else "none"


@cache
def _script(letter: str) -> str | None:
    """The script of a letter; None of anything else."""
    name = unicodedata.name(letter, "") if letter.isalpha() else ""
    if not name:
        return None
    first = name.split()[0]
    return "CJK" if first.startswith("CJK") else first.capitalize()
