"""Triton kernels of Gemma without a gradient. Imported on a GPU only: PyTorch's CPU builds come without Triton."""

import torch
import triton
import triton.language as tl

_BLOCK = 1024


def rms_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Gemma's norm of each row [..., W], in float32, multiplied by one plus the weight [W], then rounded."""
    x = x.contiguous()
    width = x.shape[-1]
    out = torch.empty_like(x)
    _rms_norm[(x.numel() // width,)](x, weight, out, width, epsilon, WIDTH=triton.next_power_of_2(width), num_warps=8)
    return out


def geglu(gate: torch.Tensor, up: torch.Tensor, tanh: bool) -> torch.Tensor:
    """GELU(gate) * up, in float32, written over ``gate``; both are contiguous."""
    _geglu[(triton.cdiv(gate.numel(), _BLOCK),)](gate, up, gate.numel(), TANH=tanh, BLOCK=_BLOCK, num_warps=4)
    return gate


@triton.jit
def _rms_norm(x, weight, out, width, epsilon, WIDTH: tl.constexpr):
    place = tl.arange(0, WIDTH)
    inside = place < width
    at = tl.program_id(0).to(tl.int64) * width + place
    value = tl.load(x + at, inside, 0.0).to(tl.float32)
    scale = 1.0 / tl.sqrt(tl.sum(value * value, 0) / width + epsilon)
    factor = 1.0 + tl.load(weight + place, inside, 0.0).to(tl.float32)
    tl.store(out + at, value * scale * factor, inside)


@triton.jit
def _geglu(gate, up, count, TANH: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    inside = at < count
    value = tl.load(gate + at, inside, 0.0).to(tl.float32)
    if TANH:
        inner = 0.7978845608028654 * (value + 0.044715 * value * value * value)
        value = value * (1.0 - 1.0 / (tl.exp(2.0 * inner) + 1.0))
    else:
        value = value * 0.5 * (1.0 + tl.erf(value * 0.7071067811865476))
    tl.store(gate + at, value * tl.load(up + at, inside, 0.0).to(tl.float32), inside)
