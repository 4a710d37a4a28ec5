"""Packed rows as Gemma's layers take them, padded to the sizes of graphs.

The padding is a row of its own, which no other row sees and the loss ignores.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

_TOKENS, _ROWS, _LONGEST = 128, 8, 512
"""A graph's sizes are multiples of these."""


@dataclass(frozen=True)
class Size:
    """What a graph takes: tokens, rows, and tokens of the longest row."""

    tokens: int
    rows: int
    longest: int

    def holds(self, other: "Size") -> bool:
        """Whether a pack of the other size fits, with a row of padding."""
        longest = max(other.longest, self.tokens - other.tokens)
        return self.tokens >= other.tokens and self.rows > other.rows and self.longest >= longest

    def rounded_up(self, others: Iterable["Size"]) -> "Size":
        """The size of the graph that is recorded for it beside others.

        Padding is one row more. In what costs little, rows and the longest row, no graph is smaller than another.
        """
        tokens = _up(self.tokens, _TOKENS)
        rows = [_up(self.rows + 1, _ROWS), *(other.rows for other in others)]
        longest = [_up(max(self.longest, tokens - self.tokens), _LONGEST), *(other.longest for other in others)]
        return Size(tokens, max(rows), max(longest))


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


@dataclass(frozen=True)
class Pack:
    """What the layers take: packed rows.

    Attributes:
        hidden: [1, T, H].
        cos: [1, T, D], of the positions within the rows.
        sin: [1, T, D].
        bounds: int32 [rows + 1].
        longest: the longest row.
        seeds: int32 [layers, 7, 2], of dropout, or None.
    """

    hidden: torch.Tensor
    cos: torch.Tensor
    sin: torch.Tensor
    bounds: torch.Tensor
    longest: int
    seeds: torch.Tensor | None

    @property
    def size(self) -> Size:
        """Its size."""
        return Size(self.hidden.shape[1], len(self.bounds) - 1, self.longest)

    def room(self, size: Size) -> "Pack":
        """One like it, of zeros, in which packs of up to a size are put by :meth:`fill`."""
        wide = [part.new_zeros(1, size.tokens, part.shape[2]) for part in (self.hidden, self.cos, self.sin)]
        seeds = None if self.seeds is None else self.seeds.clone()
        return Pack(wide[0].requires_grad_(), *wide[1:], self.bounds.new_zeros(size.rows + 1), size.longest, seeds)

    @torch.no_grad()
    def fill(self, other: "Pack") -> None:
        """Put another pack in this one's tensors; what follows its last row becomes a row of zeros."""
        tokens, rows = other.size.tokens, other.size.rows
        for own, given in ((self.hidden, other.hidden), (self.cos, other.cos), (self.sin, other.sin)):
            own[:, :tokens].copy_(given)
            own[:, tokens:].zero_()
        self.bounds[: rows + 1].copy_(other.bounds)
        self.bounds[rows + 1 :].fill_(self.size.tokens)
        if self.seeds is not None:
            self.seeds.copy_(other.seeds)
