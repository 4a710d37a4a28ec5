"""Arithmetic of training, for the share of the chip's speed that a run reaches (MFU)."""

import time

import torch
from torch import nn

from syntune.models.family import Family
from syntune.training.methods import whole_size


class Flops:
    """FLOP of training a row, by the usual count: 2 for each weight and token forward, as many for each gradient.

    A frozen linear takes 4 (no gradient of its own), a trained one 6; nothing is counted for recomputation, for vision
    towers or for norms. The output layer counts at supervised tokens only. So it is what must be done, not what is.
    """

    def __init__(self, model: nn.Module, family: Family) -> None:
        """Count the language model's weights once; ``model`` may be wrapped by PEFT."""
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        outside = {id(module) for part in (*family.towers(base), *family.connector(base)) for module in part.modules()}
        head = base.get_output_embeddings()
        self.head = 0 if head is None else _of_linear(head)
        self.per_token = sum(
            _of_linear(module)
            for module in base.modules()
            if isinstance(module, nn.Linear) and id(module) not in outside and module is not head
        )
        text = base.config.get_text_config()
        width = text.num_attention_heads * (
            getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
        )
        self.per_token_pair = 6 * text.num_hidden_layers * width

    def rows(self, lengths: list[int], supervised: int) -> float:
        """FLOP of rows of these lengths, in tokens, with so many supervised tokens in all; attention is causal."""
        attention = self.per_token_pair * sum(length**2 for length in lengths)
        return self.per_token * sum(lengths) + attention + self.head * supervised


def _of_linear(linear: nn.Module) -> int:
    """FLOP of a linear for each token."""
    return (6 if linear.weight.requires_grad else 4) * whole_size(linear.weight)


def matmul_flops_per_second(device: torch.device, side: int = 8192) -> float:
    """What a product of two bfloat16 matrices, ``side`` a side, reaches on a GPU: the speed that MFU is a share of."""
    left, right = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    times = []
    for _ in range(8):
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        left @ right
        torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return 2 * side**3 / min(times)
