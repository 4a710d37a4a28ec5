"""Bit strings that are near by their Hamming distance."""

from itertools import combinations
from math import comb

import numpy as np

from syntune.matching.first_near import KEY_BITS, first_equal


class BitStrings:
    """Equally long bit strings; see :class:`~syntune.matching.first_near.Things`.

    The bits are cut into d // (r + 1) + 1 bands: of two strings at most d bits apart, some band differs in at most r
    bits (pigeonhole), so nothing that is near is missed (multi-index hashing: Norouzi, Punjani and Fleet, 2012). Of r =
    0, 1, 2, the one that takes the fewest steps for so many random strings is chosen.
    """

    def __init__(self, packed: np.ndarray, limit: int, groups: np.ndarray | None = None) -> None:
        """Take the strings.

        Args:
            packed: eight bits a byte, uint8 of (strings, bytes).
            limit: the largest Hamming distance of near ones.
            groups: uint64, one for each string: only those of one group are ever near. None puts all into one.
        """
        self.limit = limit
        self._packed = packed
        self._groups = np.zeros(len(packed), np.uint64) if groups is None else groups
        count, width = packed.shape
        self._padded = np.zeros((count, -(-width // 8) * 8), np.uint8)
        self._padded[:, :width] = packed
        self._words = np.ascontiguousarray(self._padded.view(np.uint64).T)
        self._bits = 8 * width
        radius = min(range(3), key=self._steps)
        self.bands, self.key_bits = self._cut(radius)
        places = [combinations(range(self.key_bits), size) for size in range(min(radius, limit) + 1)]
        self.flips = [sum(1 << bit for bit in bits) for sized in places for bits in sized]

    def _cut(self, radius: int) -> tuple[int, int]:
        """How many bands there are, and how many bits of each make its key."""
        bands = min(self.limit // (radius + 1) + 1, self._bits)
        return bands, min(self._bits // bands, KEY_BITS)

    def _steps(self, radius: int) -> float:
        """Look-ups and comparisons for each string, roughly."""
        bands, key_bits = self._cut(radius)
        look_ups = bands * sum(comb(key_bits, size) for size in range(min(radius, self.limit) + 1))
        return look_ups * (1 + 2 * len(self) / 2**key_bits)

    def __len__(self) -> int:
        return len(self._packed)

    def equals(self) -> np.ndarray:
        """For each string, the place of the first of its group that equals it."""
        return first_equal(self._padded, self._groups)

    def keys(self, band: int) -> np.ndarray:
        """Each string's key in a band, uint32; equal bits of two groups seldom give equal keys."""
        start = self._bits * band // self.bands
        part = self._packed[:, start // 8 : (start + self.key_bits + 7) // 8]
        bits = np.unpackbits(part, axis=1)[:, start % 8 : start % 8 + self.key_bits]
        powers = np.uint32(1) << np.arange(self.key_bits, dtype=np.uint32)
        groups = (self._groups & np.uint64(2**self.key_bits - 1)).astype(np.uint32)
        return (bits * powers).sum(axis=1, dtype=np.uint32) ^ groups

    def distances(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Hamming distances of pairs; beyond the limit they are not counted to the end."""
        far = np.uint16(min(self.limit + 1, 2**16 - 1))
        found = np.where(self._groups[one] == self._groups[other], np.uint16(0), far)
        for word in self._words:
            left = np.flatnonzero(found <= self.limit)
            found[left] += np.bitwise_count(word[one[left]] ^ word[other[left]])
        return found
