"""Dropout from a seed: the mask is a function of position and seed, so it is made again instead of kept.

A mask costs no memory between the forward and the backward pass, and the same seed gives the same mask on every device,
in compiled code and in Triton kernels (:mod:`syntune.models.dropout_kernel`). The function is a 32-bit mixer
(xor-shift and multiply, as in C. Wellons, "Prospecting for hash functions", 2018), with the seed's second half added
half-way, so that masks of different seeds are not shifted copies of each other. Its last step mixes the low bits only,
which hardly ever decide against a threshold: it is left out.
"""

import torch

FIRST_FACTOR, SECOND_FACTOR = 0x7FEB352D, 0x846CA68B - 2**32
"""The mixer's odd multipliers, as signed 32-bit integers."""


def draw_seeds(count: int, device: torch.device) -> torch.Tensor:
    """Seeds of ``count`` masks, int32 [count, 2], from PyTorch's generator of the device (no transfer)."""
    return torch.randint(-(2**31), 2**31 - 1, (count, 2), device=device, dtype=torch.int32)


def dropped(x: torch.Tensor, seed: torch.Tensor, probability: float) -> torch.Tensor:
    """Inverted dropout: ``x`` [rows, columns], each element zero with ``probability``, else scaled to keep the mean.

    Its gradient is itself, of the gradient above: it is linear in ``x``.
    """
    if not probability:
        return x
    kept = keep_mask(x.shape, seed, probability)
    return torch.where(kept, x * (1 / (1 - probability)), 0)


def keep_mask(shape: torch.Size | tuple[int, int], seed: torch.Tensor, probability: float) -> torch.Tensor:
    """Which elements are kept, bool [rows, columns]; ``seed`` is int32 [2]."""
    rows, columns = (torch.arange(size, dtype=torch.int32, device=seed.device) for size in shape)
    bits = (rows * shape[1])[:, None] + (columns + seed[0])  # one mask shares no large part with another
    bits = (bits ^ _shifted(bits, 16)) * FIRST_FACTOR + seed[1]
    return (bits ^ _shifted(bits, 15)) * SECOND_FACTOR >= drop_threshold(probability)


def drop_threshold(probability: float) -> int:
    """Random bits, read as a signed 32-bit integer, below this one mean that the element is dropped."""
    return int(probability * 2**32) - 2**31


def _shifted(bits: torch.Tensor, count: int) -> torch.Tensor:
    """Shift right, with zeros coming in from the left, as signed integers' own shift does not."""
    return (bits >> count) & ((1 << (32 - count)) - 1)
