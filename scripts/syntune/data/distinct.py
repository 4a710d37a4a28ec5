"""How many different things there were, at eight bytes each."""

from array import array

import numpy


class DistinctCount:
    """Counts SHA-256 hashes by their first 64 bits: among ten million, two would share them once in 370,000 times."""

    def __init__(self) -> None:
        """Nothing seen yet."""
        self._seen = array("Q")

    def add(self, sha256: str) -> None:
        """See a hash, given in hex."""
        self._seen.append(int(sha256[:16], 16))

    def __len__(self) -> int:
        return len(numpy.unique(numpy.frombuffer(self._seen, dtype=numpy.uint64)))
