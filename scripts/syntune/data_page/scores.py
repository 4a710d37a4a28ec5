"""Scores of kept and dropped rows: a sample of bounded size, and its histogram."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from syntune.files import sha256_bytes

_LIMIT = re.compile(r"(?:\b(min|max|(?=\w*threshold))\w*|[<>]=)\s+(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
"""A threshold in a lineage's limit, such as ``min_score 0.28 (25%)``, ``prob_threshold 0.8`` or ``<= 24``."""

BINS = 32


@dataclass(frozen=True)
class Bins:
    """A histogram: counts of kept and dropped values in bins of equal width; values outside are in the outer bins."""

    low: float
    high: float
    kept: list[int]
    dropped: list[int]
    ends: tuple[float, float]
    """The least and the greatest value, as the axis names them."""
    thresholds: list[tuple[float, float]]
    """Each limit's place between ``low`` and ``high``, and its value; of whole numbers, it stands between two bins."""


@dataclass
class ScoreSample:
    """One statistic's values. Once there are ``most``, every second row is forgotten, chosen by a hash of its id."""

    most: int = 50_000
    thresholds: set[tuple[str, float]] = field(default_factory=set)
    share: int = 1
    _values: list[tuple[int, float, bool]] = field(default_factory=list)

    def add(self, row_id: str, values: Iterable[float], kept: bool) -> None:
        """Add a row's values; infinite ones and NaN say nothing."""
        chosen = int(sha256_bytes(row_id.encode())[:12], 16)
        if chosen % self.share:
            return
        self._values += [(chosen, float(value), kept) for value in values if math.isfinite(value)]
        while len(self._values) > self.most:
            self.share *= 2
            self._values = [value for value in self._values if value[0] % self.share == 0]

    def add_limit(self, limit: str | None) -> None:
        """Remember the thresholds that a limit names: ``min``, ``max`` or neither, and the number."""
        self.thresholds.update((kind, float(number)) for kind, number in _LIMIT.findall(limit or ""))

    def bins(self) -> Bins | None:
        """The histogram between the values' 0.5th and 99.5th percentile and the thresholds; None of no values."""
        if not self._values:
            return None
        ordered = sorted(value for _, value, _ in self._values)
        limits = [value for _, value in self.thresholds]
        low = min([ordered[len(ordered) // 200], *limits])
        high = max([ordered[-1 - len(ordered) // 200], *limits])
        bins, apart = BINS, 0.0
        if high - low < 2 * BINS and all(value.is_integer() for value in ordered):  # counts: a bin for each
            low, high, apart = math.floor(low) - 0.5, math.ceil(high) + 0.5, 0.5
            bins = round(high - low)
        elif low == high:
            low, high = low - 0.5, high + 0.5
        counts = {True: [0] * bins, False: [0] * bins}
        for _, value, kept in self._values:
            place = math.floor((value - low) / (high - low) * bins)
            counts[kept][min(bins - 1, max(0, place))] += 1
        thresholds = [
            (value + ({"max": apart, "min": -apart}.get(kind, 0.0)), value) for kind, value in self.thresholds
        ]
        return Bins(low, high, counts[True], counts[False], (low + apart, high - apart), sorted(thresholds))
