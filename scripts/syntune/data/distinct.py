"""How many different things there were, at eight bytes each."""

from array import array

import numpy

_FRESH = 2**16
"""Hashes that are seen, at least, before those seen twice are left out."""


class DistinctCount:
    """Counts SHA-256 hashes by their first 64 bits: among ten million, two would share them once in 370,000 times."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._seen = numpy.empty(0, dtype=numpy.uint64)
        self._fresh = array("Q")

    def add(self, sha256: str) -> None:
        """See a hash, given in hex."""
        self._fresh.append(int(sha256[:16], 16))
        if len(self._fresh) > max(_FRESH, len(self._seen) // 2):
            self._merge()

    def __len__(self) -> int:
        self._merge()
        return len(self._seen)

    def _merge(self) -> None:
        """Put fresh hashes to the others."""
        self._seen = numpy.union1d(self._seen, numpy.array(self._fresh, dtype=numpy.uint64))
        self._fresh = array("Q")
