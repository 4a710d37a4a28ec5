"""Attention over several rows in one sequence: the fastest kernel that is there and correct.

Rows are packed end to end, [1, tokens], without padding. Where they begin travels as the keyword arguments that
transformers uses for it (``cu_seq_lens_q``, ``cu_seq_lens_k``, ``max_length_q``, ``max_length_k``) through the model to
the attention function. Called without them, every function here is transformers' own, with its mask.
"""

import importlib.util
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from syntune.errors import UserError

log = logging.getLogger(__name__)

Kernel = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, int, float], torch.Tensor]
"""Causal attention within each row: (query [T, heads, D], key [T, kv heads, D], value [T, kv heads, D],
row boundaries [rows + 1] int32, longest row, scale) to [T, heads, D]."""


@dataclass(frozen=True)
class Attention:
    """A choice of attention.

    Attributes:
        name: what the setting and the log call it.
        implementation: what transformers calls it, for ``set_attn_implementation``.
    """

    name: str
    implementation: str


def flash_attn_kernel(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int, scale: float
) -> torch.Tensor:
    """The flash-attn package."""
    from flash_attn import flash_attn_varlen_func

    return flash_attn_varlen_func(query, key, value, bounds, bounds, longest, longest, softmax_scale=scale, causal=True)


def torch_varlen_kernel(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int, scale: float
) -> torch.Tensor:
    """The FlashAttention-2 kernels inside PyTorch: grouped heads, heads of up to 256, no extra package."""
    return _varlen(query.contiguous(), key.contiguous(), value.contiguous(), bounds, longest, scale)[0]


@torch.compiler.disable
def sdpa_kernel(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int, scale: float
) -> torch.Tensor:
    """PyTorch's scaled_dot_product_attention, on any device.

    For its sake rows are padded on the right, where causal attention needs no mask: no token looks to its right.
    """
    real = torch.arange(longest, device=query.device) < bounds.diff()[:, None]

    def pad(states: torch.Tensor) -> torch.Tensor:
        padded = states.new_zeros(*real.shape, *states.shape[1:])
        padded[real] = states
        return padded.transpose(1, 2)

    attended = functional.scaled_dot_product_attention(
        pad(query), pad(key), pad(value), is_causal=True, scale=scale, enable_gqa=True
    )
    return attended.transpose(1, 2)[real]


@torch.compiler.disable
def eager_kernel(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int, scale: float
) -> torch.Tensor:
    """The definition, row by row: softmax in float32 at least, all of the scores in memory."""

    def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        group = query.shape[1] // key.shape[1]
        key, value = key.repeat_interleave(group, 1), value.repeat_interleave(group, 1)
        scores = query @ key.transpose(-1, -2) * scale
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        precise = torch.promote_types(scores.dtype, torch.float32)
        weights = scores.masked_fill(later, -torch.inf).softmax(-1, dtype=precise)
        return weights.to(value.dtype) @ value

    return _row_by_row(attend, query, key, value, bounds)


KERNELS: dict[str, Kernel] = {
    "flash-attn": flash_attn_kernel,
    "torch-varlen": torch_varlen_kernel,
    "sdpa": sdpa_kernel,
    "eager": eager_kernel,
}
"""By name, the fastest first."""

RECORDABLE = ("flash-attn", "torch-varlen")
"""Those that a CUDA graph can hold: they read no size back from the GPU."""


def choose_attention(requested: str, device: torch.device | str, dtype: torch.dtype) -> Attention:
    """Choose the attention for training.

    Args:
        requested: one of :data:`KERNELS`, or "auto" for the first of them that works here.
        device: where the model is.
        dtype: what its queries are made of.

    Raises:
        UserError: the requested one is unknown, or does not work on this device with this dtype.
    """
    if requested != "auto":
        if requested not in KERNELS:
            raise UserError(f"attention: {requested!r} is unknown; choose auto, {', '.join(KERNELS)}")
        if flaw := flaw_of(requested, torch.device(device).type, dtype):
            raise UserError(f"attention: {requested} does not work here ({flaw}); choose another, or auto")
        return _attention(requested)
    for name in KERNELS:
        flaw = flaw_of(name, torch.device(device).type, dtype)
        if flaw is None:
            return _attention(name)
        log.info("attention: not %s: %s", name, flaw)
    raise UserError(f"attention: no implementation works on {device} with {dtype}")


@cache
def flaw_of(name: str, device: str, dtype: torch.dtype) -> str | None:
    """Why a kernel cannot be used, or None: it is run forwards and backwards on a small case and compared to eager."""
    if name in ("flash-attn", "torch-varlen"):
        if device != "cuda":
            return f"needs a GPU, not {device}"
        if dtype not in (torch.bfloat16, torch.float16):
            return f"needs bfloat16 or float16, not {dtype}"
    if name == "flash-attn" and importlib.util.find_spec("flash_attn") is None:
        return "the package flash-attn is not installed"
    try:
        difference = _difference(KERNELS[name], device, dtype)
    except Exception as error:  # a kernel of another build fails in any way it likes
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    tolerance = (8 if dtype.itemsize < 4 else 32) * torch.finfo(dtype).eps
    return None if difference <= tolerance else f"it differs from eager by {difference:.2g}, more than {tolerance:.2g}"


def kernel_of(implementation: str) -> Kernel:
    """The kernel behind one of transformers' names.

    Raises:
        ValueError: it is not one of ours.
    """
    for name, kernel in KERNELS.items():
        if _implementation(name) == implementation:
            return kernel
    raise ValueError(f"attention implementation {implementation!r} does not take packed rows")


def is_recordable(implementation: str) -> bool:
    """Whether the kernel behind one of transformers' names can run in a CUDA graph."""
    return implementation in map(_implementation, RECORDABLE)


def row_bounds(lengths: torch.Tensor) -> torch.Tensor:
    """Where packed rows begin and end, [rows + 1] int32, from their lengths [rows]."""
    return functional.pad(lengths.cumsum(0, dtype=torch.int32), (1, 0))


def packed_arguments(bounds: torch.Tensor, longest: int) -> dict[str, Any]:
    """The keyword arguments by which transformers names the boundaries of packed rows."""
    return {"cu_seq_lens_q": bounds, "cu_seq_lens_k": bounds, "max_length_q": longest, "max_length_k": longest}


def _attention(name: str) -> Attention:
    return Attention(name, _implementation(name))


def _implementation(name: str) -> str:
    """What transformers calls a kernel; it reads meaning into some words, "flash" among them."""
    return {"flash-attn": "packed_fa2", "torch-varlen": "packed_varlen"}.get(name, f"packed_{name}")


def _attend(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    kernel: Kernel,
    scaling: float | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """An attention function of transformers: query [batch, heads, tokens, D] to [batch, tokens, heads, D]."""
    if cu_seq_lens_q is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    if len(query) != 1:
        raise ValueError(f"packed rows come as one sequence, not as a batch of {len(query)}")
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    packed = (states[0].transpose(0, 1).to(value.dtype) for states in (query, key, value))
    return kernel(*packed, cu_seq_lens_q, max_length_q, scale).unsqueeze(0), None


def _mask(batch_size: int, q_length: int, kv_length: int, **kwargs: Any) -> torch.Tensor | None:
    """No mask for packed rows (causal within each by construction), transformers' own for padded ones and caches."""
    if kwargs.get("attention_mask") is None and q_length == kv_length:
        return None
    return sdpa_mask(batch_size=batch_size, q_length=q_length, kv_length=kv_length, **kwargs)


def _row_by_row(
    attend: Callable[..., torch.Tensor],
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
) -> torch.Tensor:
    """Attention of each row alone, with tensors [1, heads, tokens, D], put end to end."""
    sizes = bounds.diff().tolist()
    rows = zip(*(states.transpose(0, 1).unsqueeze(0).split(sizes, 2) for states in (query, key, value)), strict=True)
    return torch.cat([attend(*row) for row in rows if row[0].shape[2]], 2)[0].transpose(0, 1)


def _difference(kernel: Kernel, device: str, dtype: torch.dtype) -> float:
    """Largest relative error of outputs and gradients against eager, on two rows of MGM-2B's heads."""
    generator = torch.Generator().manual_seed(0)
    bounds = torch.tensor([0, 70, 100], dtype=torch.int32)
    shapes = [(100, 8, 256), (100, 1, 256), (100, 1, 256), (100, 8, 256)]
    *states, upstream = [torch.randn(shape, generator=generator).to(device, dtype) for shape in shapes]

    def run(kernel: Kernel) -> list[torch.Tensor]:
        inputs = [state.clone().requires_grad_() for state in states]
        with torch.enable_grad():
            output = kernel(*inputs, bounds.to(device), 70, 1 / 16)
            return [output, *torch.autograd.grad(output, inputs, upstream)]

    pairs = zip(run(kernel), run(eager_kernel), strict=True)
    return max(((found - wanted).norm() / wanted.norm()).item() for found, wanted in pairs)


@torch.library.custom_op("syntune::varlen_attention", mutates_args=(), device_types="cuda")
def _varlen(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """FlashAttention forward: the output and the log-sum-exp of the scores [heads, T], an opaque step to compilers."""
    output, log_sum, *_ = torch.ops.aten._flash_attention_forward(
        query, key, value, bounds, bounds, longest, longest, 0.0, True, False, scale=scale
    )
    return output, log_sum


@_varlen.register_fake
def _(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty_like(query), query.new_empty((query.shape[1], query.shape[0]), dtype=torch.float32)


@torch.library.custom_op("syntune::varlen_attention_backward", mutates_args=(), device_types="cuda")
def _varlen_backward(
    upstream: torch.Tensor,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    output: torch.Tensor,
    log_sum: torch.Tensor,
    bounds: torch.Tensor,
    longest: int,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """FlashAttention backward; the state of the random generator is unused, for there is no dropout."""
    no_state = torch.zeros(2, dtype=torch.uint64, device=query.device)
    unused = torch.empty(0, device=query.device)
    return torch.ops.aten._flash_attention_backward(
        upstream, query, key, value, output, log_sum, bounds, bounds, longest, longest, 0.0, True, no_state, unused,
        scale=scale,
    )  # fmt: skip


@_varlen_backward.register_fake
def _(
    upstream: torch.Tensor, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *rest: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)


def _keep_for_backward(ctx: Any, inputs: tuple, output: tuple[torch.Tensor, torch.Tensor]) -> None:
    query, key, value, bounds, ctx.longest, ctx.scale = inputs
    ctx.save_for_backward(query, key, value, *output, bounds)


def _backward(ctx: Any, upstream: torch.Tensor, _: torch.Tensor) -> tuple:
    *states, bounds = ctx.saved_tensors
    gradients = _varlen_backward(upstream.contiguous(), *states, bounds, ctx.longest, ctx.scale)
    return *gradients, None, None, None


_varlen.register_autograd(_backward, setup_context=_keep_for_backward)

for _name, _kernel in KERNELS.items():
    AttentionInterface.register(_implementation(_name), partial(_attend, kernel=_kernel))
    AttentionMaskInterface.register(_implementation(_name), _mask)
