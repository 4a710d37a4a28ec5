"""A few bit strings in an index, in which those near to others are looked up one by one."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property


class HammingIndex:
    """Bit strings within a Hamming distance, found without comparing with each.

    The bits are cut into d // 2 + 1 bands: of two strings at most d bits apart, at least one band differs by one bit
    at most (pigeonhole). So a string is looked up by each band, as it is and with each bit of the band flipped, and
    only what stands there is compared (multi-index hashing: Norouzi, Punjani and Fleet, 2012).
    """

    def __init__(self, strings: Iterable[int], bits: int, distance: int) -> None:
        """Strings of so many ``bits`` are known by their place in ``strings``; equal ones share their entries."""
        self._distance = distance
        self._bands = distance // 2 + 1
        self._bits = bits
        self._places: dict[int, list[int]] = defaultdict(list)
        for place, string in enumerate(strings):
            self._places[string].append(place)
        self._tables: list[dict[int, list[int]]] = [defaultdict(list) for _ in range(self._bands)]
        for string in self._places:
            for table, (shift, mask, _) in zip(self._tables, self._cuts, strict=True):
                table[string >> shift & mask].append(string)
        for table in (self._places, *self._tables):
            table.default_factory = None

    @cached_property
    def _cuts(self) -> list[tuple[int, int, tuple[int, ...]]]:
        """Of each band its first bit, the mask of its width, and what flips none or one of its bits."""
        edges = [self._bits * band // self._bands for band in range(self._bands + 1)]
        widths = [end - start for start, end in zip(edges, edges[1:], strict=False)]
        return [
            (start, (1 << width) - 1, (0, *(1 << bit for bit in range(width))))
            for start, width in zip(edges, widths, strict=False)
        ]

    def near(self, string: int) -> dict[int, int]:
        """The places of the strings within the distance, and how far each is."""
        candidates: set[int] = set()
        for table, (shift, mask, flips) in zip(self._tables, self._cuts, strict=True):
            band = string >> shift & mask
            for flip in flips:
                candidates.update(table.get(band ^ flip, ()))
        found = ((other, (string ^ other).bit_count()) for other in candidates)
        return {
            place: distance for other, distance in found if distance <= self._distance for place in self._places[other]
        }
