"""Greedy choices, and how close they were: rounding, which differs with the batch, may decide a near tie."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

ROUNDING = 1e-3
"""Two logits may change places by float32 rounding if they are nearer than this; a hundred times what is usual."""

COARSE_ROUNDING = 2**-6
"""And by bfloat16 rounding if they are nearer than this share of the larger: two to four steps between its numbers."""


def choose(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The greedy choice and whether it is a near tie, both [rows]; of logits [rows, vocabulary], which are changed."""
    best, ids = logits.max(dim=-1)
    second = logits.scatter_(1, ids[:, None], -torch.inf).amax(dim=-1)
    return ids, _is_near_tie(best, second, logits.dtype)


class Choices:
    """The choices of a batch, one after another."""

    def __init__(self, dtype: torch.dtype) -> None:
        """``dtype`` is the arithmetic that the logits come from, whatever theirs is."""
        self._dtype = dtype
        self._steps: list[torch.Tensor] = []

    def add(self, logits: torch.Tensor) -> None:
        """Take the logits [rows, vocabulary] of one step."""
        self._steps.append(_is_near_tie(*logits.topk(2).values.unbind(-1), self._dtype))

    def near_ties(self, answers: Sequence[Sequence[int]]) -> list[bool]:
        """Whether each row had a near tie; its answer's ids, without the end's, say how many choices it had."""
        near_ties = torch.stack(self._steps, dim=1)
        # one more than the ids: the choice of the end
        return [bool(near_ties[row, : len(ids) + 1].any()) for row, ids in enumerate(answers)]


@contextmanager
def watch_choices(model: PreTrainedModel) -> Iterator[Choices]:
    """Collect the choices of one generation of ``model``, whose outputs have ``logits``."""
    choices = Choices(model.dtype)
    hook = model.register_forward_hook(lambda module, inputs, output: choices.add(output.logits[:, -1]))
    try:
        yield choices
    finally:
        hook.remove()


def _is_near_tie(best: torch.Tensor, second: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Whether rounding in ``dtype`` may have decided between the two largest logits."""
    best = best.float()
    return best - second.float() < (ROUNDING if dtype == torch.float32 else COARSE_ROUNDING * best.abs())
