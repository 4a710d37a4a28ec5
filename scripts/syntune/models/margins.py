"""How close a greedy choice was: the distance of the two largest logits, at each step of a generation."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

ROUNDING = 1e-3
"""Two logits may change places by float32 rounding if they are nearer than this; a hundred times what is usual."""


class Margins:
    """The margins of a batch."""

    def __init__(self) -> None:
        self._steps: list[torch.Tensor] = []

    def add(self, logits: torch.Tensor) -> None:
        """Take the logits [rows, vocabulary] of one step."""
        best = logits.float().topk(2).values
        self._steps.append(best[:, 0] - best[:, 1])

    def unsure(self, answers: Sequence[Sequence[int]]) -> list[int]:
        """The rows with a choice that rounding may have decided; each one's new ids say how many choices it had."""
        margins = torch.stack(self._steps, dim=1)
        # one more than the ids: the choice of the end
        return [row for row, ids in enumerate(answers) if (margins[row, : len(ids) + 1] < ROUNDING).any()]


@contextmanager
def watch_margins(model: nn.Module) -> Iterator[Margins]:
    """Collect the margins of one generation of ``model``, whose outputs have ``logits``."""
    margins = Margins()
    hook = model.register_forward_hook(lambda module, inputs, output: margins.add(output.logits[:, -1]))
    try:
        yield margins
    finally:
        hook.remove()
