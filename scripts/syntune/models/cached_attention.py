"""Attention of rows' newest tokens to all that each row has read, whose keys and values lie in a cache."""

from collections.abc import Callable
from functools import cache

import torch
from torch.nn import functional

CachedAttention = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(query [rows, tokens, heads, D], keys and values [rows, slots, key heads, D]) to [rows, tokens, heads, D]."""


def attention_to_cache(
    starts: torch.Tensor, tokens: int, slots: int, group: int, dtype: torch.dtype
) -> CachedAttention:
    """Attention in which every token sees the slots of its row up to its own.

    On a GPU FlashAttention goes through a row's own slots only, so a row's output is the same bit for bit whatever
    stands in other rows, and however many slots there are. Elsewhere slots that are not seen are masked, and their
    number may change the rounding.

    Args:
        starts: slot of each row's first new token, [rows].
        tokens: new ones of each row, whose keys and values are in the cache already.
        slots: of a row.
        group: heads that share keys.
        dtype: of queries, keys and values.
    """
    if starts.is_cuda and flash_reads_caches(dtype):
        return _by_flash(starts, tokens, slots, group)
    return _by_mask(starts, tokens, slots, group, dtype)


@cache
def flash_reads_caches(dtype: torch.dtype) -> bool:
    """Whether PyTorch's FlashAttention does it on this GPU, as a small case shows."""
    generator = torch.Generator("cuda").manual_seed(0)
    query, keys, values = (
        torch.randn(shape, generator=generator, device="cuda").to(dtype)
        for shape in ((2, 3, 8, 256), (2, 64, 1, 256), (2, 64, 1, 256))
    )
    starts = torch.tensor([7, 40], device="cuda")
    try:
        found = _by_flash(starts, 3, 64, 8)(query, keys, values)
    except Exception:  # a kernel of another build or card fails in any way it likes
        return False
    wanted = _by_mask(starts, 3, 64, 8, dtype)(query, keys, values)
    return bool((found - wanted).norm() <= 8 * torch.finfo(dtype).eps * wanted.norm())


def _by_flash(starts: torch.Tensor, tokens: int, slots: int, group: int) -> CachedAttention:
    """The FlashAttention-2 kernels inside PyTorch, told how many of a row's slots are in use.

    With several tokens causal masks end at a row's last slot in use. One token needs no mask: heads that share keys
    stand as more queries of one head then. The kernel would put them so itself, but then it may divide a row's slots,
    by how many there are, and so change the rounding.
    """
    rows = torch.arange(len(starts) + 1, dtype=torch.int32, device=starts.device)
    used = (starts + tokens).int()

    def attend(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        packed, queries = (states.flatten(0, 1) for states in (query, keys, values)), query.shape[1]
        output, *_ = torch.ops.aten._flash_attention_forward(
            *packed, rows * queries, rows * slots, queries, slots, 0.0, tokens > 1, False, seqused_k=used
        )
        return output.view_as(query)

    def attend_one(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        grouped = query.unflatten(2, (-1, group)).transpose(1, 3).squeeze(3)
        return attend(grouped, keys, values).unsqueeze(3).transpose(1, 3).flatten(2, 3)

    return attend if tokens > 1 else attend_one


def _by_mask(starts: torch.Tensor, tokens: int, slots: int, group: int, dtype: torch.dtype) -> CachedAttention:
    """PyTorch's scaled_dot_product_attention, on any device."""
    last_seen = starts[:, None] + torch.arange(tokens, device=starts.device)
    ahead = torch.arange(slots, device=starts.device) > last_seen[:, :, None]
    bias = torch.zeros_like(ahead, dtype=dtype).masked_fill_(ahead, -torch.inf)
    bias = bias.repeat_interleave(group, dim=1)[:, None]

    def attend(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        # heads that share keys stand as more queries of one head: no key is copied for them
        grouped = query.unflatten(2, (-1, group)).permute(0, 2, 1, 3, 4)
        mixed = functional.scaled_dot_product_attention(
            grouped.flatten(2, 3),
            keys.transpose(1, 2),
            values.transpose(1, 2),
            attn_mask=bias,
        )
        return mixed.view(grouped.shape).permute(0, 2, 1, 3, 4).flatten(2, 3)

    return attend
