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


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn queries or keys by their positions, in float32, in place.

    Args:
        x: [rows, tokens, heads, D], contiguous.
        cos: [rows or 1, tokens, D], contiguous; its halves are alike.
        sin: the same.
    """
    rows, tokens, heads, size = x.shape
    _rotate[(rows * tokens, heads)](x, cos, sin, cos.shape[0] * tokens, HALF=size // 2, num_warps=1)
    return x


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


@triton.jit
def _rotate(x, cos, sin, angles, HALF: tl.constexpr):
    place = tl.arange(0, HALF)
    token = tl.program_id(0)
    at = x + (token.to(tl.int64) * tl.num_programs(1) + tl.program_id(1)) * 2 * HALF + place
    angle = token % angles * 2 * HALF + place
    first, second = tl.load(at).to(tl.float32), tl.load(at + HALF).to(tl.float32)
    c, s = tl.load(cos + angle).to(tl.float32), tl.load(sin + angle).to(tl.float32)
    tl.store(at, first * c - second * s)
    tl.store(at + HALF, second * c + first * s)
