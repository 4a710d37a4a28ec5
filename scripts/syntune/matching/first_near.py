"""Which of many things come first, and which are near to one of those.

In their order, a thing is kept unless it is near to one that was kept before it. So each that goes is near to the one
that stays for it, and no chain of small differences joins what is far apart.

Only pairs that share a band are compared, found through tables of what stands where. Where so much looks alike that
pairs would fill the memory, the things are halved: what is near to something kept of the first half is out before the
second half is compared with itself.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np

KEY_BITS = 22
"""Widest key of a band: a table of four million places takes 16 MB."""

_PAIRS_AT_ONCE = 2**20
"""Pairs that are compared at a time."""

_PAIRS_PER_THING, _MORE_PAIRS = 8, 2**20
"""Near pairs that are kept in memory, at most, before the things are halved."""


class Things(Protocol):
    """Things that have keys in bands and distances from each other, known by their places 0, 1, ...

    Attributes:
        bands: how many bands there are.
        key_bits: the width of a key.
        flips: of two near things, in some band one's key is the other's with one of these XORed to it.
        limit: the largest distance of near ones.
    """

    bands: int
    key_bits: int
    flips: list[int]
    limit: float

    def __len__(self) -> int: ...

    def equals(self) -> np.ndarray:
        """For each thing, the place of the first that equals it."""

    def keys(self, band: int) -> np.ndarray:
        """Each thing's key in a band, uint32."""

    def distances(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """The distances of pairs of places; beyond the limit, anything that is."""


def first_equal(packed: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """For each row of bytes, the place of the first equal one of its group; seldom, one that is equal is overlooked.

    Args:
        packed: uint8 of (rows, bytes), of which the number is a multiple of 8.
        groups: uint64, one for each row.
    """
    factors = np.random.default_rng(0).integers(2**63, size=packed.shape[1] // 8, dtype=np.uint64) | np.uint64(1)
    hashes = groups * np.uint64(0x9E3779B97F4A7C15)
    for column, factor in zip(packed.view(np.uint64).T, factors, strict=True):
        hashes += (column ^ column >> np.uint64(29)) * factor
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    first = first[inverse]
    is_other = (groups != groups[first]) | (packed != packed[first]).any(axis=1)
    first[is_other] = np.flatnonzero(is_other)
    return first


def first_near(things: Things) -> np.ndarray:
    """For each thing, in the order of their places: its own place if it is kept, else the first kept one's near it."""
    first = things.equals()
    distinct = np.flatnonzero(first == np.arange(len(things)))
    search = _Search(things)
    search.solve(distinct)
    return search.first[first]


class _Search:
    """The search, and what it found out: ``first`` as :func:`first_near` gives it."""

    def __init__(self, things: Things) -> None:
        """Nothing found yet: each is kept."""
        self.things = things
        self.first = np.arange(len(things))

    def solve(self, places: np.ndarray) -> None:
        """Decide about things, of which none is near to one that was kept before."""
        pairs = self._pairs_within(places)
        if pairs is None:
            middle = len(places) // 2
            self.solve(places[:middle])
            kept = places[:middle][self.first[places[:middle]] == places[:middle]]
            self.solve(self._without_near(kept, places[middle:]))
            return
        first = self.first
        for one, other in pairs.tolist():
            if first[other] == other and first[one] == one:
                first[other] = one

    def _pairs_within(self, places: np.ndarray) -> np.ndarray | None:
        """The near pairs, sorted by the later and then by the earlier place; None if there are too many."""
        most = max(_PAIRS_PER_THING * len(places), _MORE_PAIRS)
        total, found = len(self.things), np.empty(0, np.int64)
        for band in range(self.things.bands):
            keys = self.things.keys(band)[places]
            table = _Table(keys, self.things.key_bits)
            for flip in self.things.flips:
                for one, other in table.pairs(flip):
                    one, other = self._near(places[one], places[other])
                    pairs = np.maximum(one, other) * total + np.minimum(one, other)
                    found = np.concatenate([found, pairs])
                    if len(found) > most and len(found := np.unique(found)) > most and len(places) > 2:
                        return None
            found = np.unique(found)
        return np.stack([found % total, found // total], axis=1)

    def _without_near(self, kept: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Decide about those that are near to a kept one; the others are left."""
        nearest = np.full(len(self.things), len(self.things))
        for band in range(self.things.bands):
            keys = self.things.keys(band)
            table = _Table(keys[kept], self.things.key_bits)
            for flip in self.things.flips:
                for one, other in table.matches(keys[places], flip):
                    one, other = self._near(kept[one], places[other])
                    np.minimum.at(nearest, other, one)
        is_near = nearest[places] < len(self.things)
        self.first[places[is_near]] = nearest[places[is_near]]
        return places[~is_near]

    def _near(self, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those of pairs of places that are within the limit."""
        is_near = self.things.distances(one, other) <= self.things.limit
        return one[is_near], other[is_near]


class _Table:
    """Keys by their value: which stand at each."""

    def __init__(self, keys: np.ndarray, bits: int) -> None:
        """Sort them, and note where each value begins."""
        self.order = np.argsort(keys, kind="stable")
        self.sorted = keys[self.order]
        self.starts = np.zeros(2**bits + 1, np.int64)
        np.cumsum(np.bincount(keys, minlength=2**bits), out=self.starts[1:])

    def pairs(self, flip: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each pair of keys that differ by ``flip``, once, in pieces."""
        if flip:
            # one of the two has the lowest bit of the flip, the other has not
            asking = np.flatnonzero(self.sorted & np.uint32(flip & -flip) == 0)
            wanted = self.sorted[asking] ^ np.uint32(flip)
            ranges = self.starts[wanted], self.starts[wanted + np.uint32(1)]
        else:
            asking = np.arange(len(self.sorted))
            ranges = asking + 1, self.starts[self.sorted + np.uint32(1)]
        for one, other in _expanded(*ranges):
            yield self.order[asking[one]], self.order[other]

    def matches(self, keys: np.ndarray, flip: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Each own key with each of ``keys`` that differs from it by ``flip``, in pieces."""
        wanted = keys ^ np.uint32(flip)
        for asking, own in _expanded(self.starts[wanted], self.starts[wanted + np.uint32(1)]):
            yield self.order[own], asking


def _expanded(begins: np.ndarray, ends: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each place of ``begins`` with each number of its range, in pieces of bounded size."""
    places = np.flatnonzero(ends > begins)
    begins, sizes = begins[places], (ends - begins)[places]
    until = np.cumsum(sizes)
    done = 0
    while done < len(places):
        before = until[done - 1] if done else 0
        stop = max(int(np.searchsorted(until, before + _PAIRS_AT_ONCE, side="right")), done + 1)
        piece, counts = slice(done, stop), sizes[done:stop]
        numbers = np.arange(until[stop - 1] - before)
        shift = np.repeat(until[piece] - before - counts - begins[piece], counts)
        yield np.repeat(places[piece], counts), numbers - shift
        done = stop
