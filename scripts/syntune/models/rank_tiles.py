"""Sizes of the tiles in which Triton kernels read adapters: as wide as the rank, whatever it is."""

MOST_RANK = 256
"""The highest rank for which every tile keeps the 16 rows or columns that a product takes at least."""


def padded(rank: int) -> int:
    """The rank as a side of a tile: a power of two, and at least 16."""
    return max(16, 1 << (rank - 1).bit_length())


def fitted(size: int, rank: int) -> int:
    """The other side of a tile, shorter for ranks over 64, so that the tile is no larger than with 64.

    Else a program needs more shared memory than the 99 KiB that a 4090 or an L40S has for it.
    """
    return size * 64 // max(64, padded(rank))
