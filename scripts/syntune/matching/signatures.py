"""Texts that are near by the words that they share: MinHash signatures in bands (LSH)."""

import numpy as np
import xxhash
from datasketch import MinHash

from syntune.matching.first_near import KEY_BITS, first_equal
from syntune.matching.words import grams_of

_BANDS, _ROWS = 32, 4
_PERMUTATIONS = _BANDS * _ROWS
"""Two texts whose similarity is s share a band with the probability 1 - (1 - s**4)**32: 0.99 at 0.6, 1.00 at 0.8."""

SIGNATURE_BYTES = 4 * _BANDS + _PERMUTATIONS
"""Size of a signature."""

_COMPARED = 2**16
"""Pairs whose signatures are compared at a time."""

_FACTORS = np.random.default_rng(0).integers(2**63, size=_ROWS, dtype=np.uint64) | np.uint64(1)

_EMPTY = MinHash(_PERMUTATIONS, hashfunc=xxhash.xxh32_intdigest)


def signature(text: str, size: int) -> bytes:
    """The MinHash signature of a text's runs of words, as :class:`Signatures` takes it; of no words, nothing.

    Each band's four minima, hashed to 32 bits, then the lowest byte of each minimum, by which pairs are compared.
    """
    grams = grams_of(text, size)
    if not grams:
        return b""
    hashed = _EMPTY.copy()
    hashed.update_batch([gram.encode() for gram in sorted(grams)])
    minima = hashed.hashvalues.astype(np.uint64)
    bands = (minima.reshape(_BANDS, _ROWS) * _FACTORS).sum(axis=1) >> np.uint64(32)
    return bands.astype("<u4").tobytes() + minima.astype(np.uint8).tobytes()


class Signatures:
    """Signatures of texts; see :class:`~syntune.matching.first_near.Things`. The distance is 1 - Jaccard similarity.

    It is estimated from 128 minima: where it is 0.2, the estimate has a standard error of 0.035.
    """

    flips = [0]
    bands = _BANDS
    key_bits = KEY_BITS

    def __init__(self, packed: np.ndarray, limit: float, groups: np.ndarray | None = None) -> None:
        """Take the signatures.

        Args:
            packed: uint8 of (texts, bytes of a signature).
            limit: the largest distance of near ones, at most 0.4: beyond it, bands miss too many.
            groups: uint64, one for each text: only those of one group are ever near. None puts all into one.
        """
        self.limit = limit
        self._packed = packed
        self._groups = np.zeros(len(packed), np.uint64) if groups is None else groups
        self._bands = packed[:, : 4 * _BANDS].view("<u4")
        self._minima = packed[:, 4 * _BANDS :]

    def __len__(self) -> int:
        return len(self._packed)

    def equals(self) -> np.ndarray:
        """For each text, the place of the first of its group with an equal signature."""
        return first_equal(self._packed, self._groups)

    def keys(self, band: int) -> np.ndarray:
        """Each text's key in a band, uint32."""
        mixed = self._bands[:, band] ^ self._groups.astype(np.uint32)
        return (mixed ^ mixed >> np.uint32(KEY_BITS)) & np.uint32(2**KEY_BITS - 1)

    def distances(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """1 - similarity of pairs, as estimated; 2 for those of two groups."""
        found = np.full(len(one), 2.0)
        same = np.flatnonzero(self._groups[one] == self._groups[other])
        for start in range(0, len(same), _COMPARED):
            part = same[start : start + _COMPARED]
            agreeing = (self._minima[one[part]] == self._minima[other[part]]).mean(axis=1)
            # of two different minima, one in 256 agrees in the byte that is kept
            found[part] = np.clip((1 - agreeing) * 256 / 255, 0, 1)
        return found
