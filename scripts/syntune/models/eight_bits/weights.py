"""A frozen linear's weight in 8 bits, and its products."""

import torch

from syntune.models.eight_bits.rows import Rows, project

DTYPES = {"fp8": torch.float8_e4m3fn, "int8": torch.int8}
"""By the name that the config gives them."""


class EightBitWeight:
    """A weight [out, in] as 8-bit values and a float32 scale for each output channel.

    It is held once. Products take their right side by columns, so a backward pass transposes it first, on the fly: a
    second copy would cost as much memory as the first saves. Forward and backward so see the same rounded weight; the
    scales of the channels that a backward pass sums over are multiplied into the gradients before these are quantised.
    """

    def __init__(self, weight: torch.Tensor, dtype: torch.dtype) -> None:
        """Quantise a weight [out, in], once."""
        values = torch.empty(weight.shape, dtype=dtype, device=weight.device)
        self.rows = project(weight, values=values)[1]

    @property
    def dtype(self) -> torch.dtype:
        """Of the values."""
        return self.rows.values.dtype

    @property
    def scale(self) -> torch.Tensor:
        """Of the output channels, float32 [out]."""
        return self.rows.scale.flatten()

    @property
    def requires_grad(self) -> bool:
        """Never: it is frozen."""
        return False

    def numel(self) -> int:
        """How many weights there are."""
        return self.rows.values.numel()


def empty_rows(x: torch.Tensor, weight: EightBitWeight, times: int = 1) -> torch.Tensor:
    """Room for the quantised rows of x [T, N], ``times`` side by side."""
    return torch.empty(len(x), times * x.shape[1], dtype=weight.dtype, device=x.device)


def forward_product(rows: Rows, weight: EightBitWeight, dtype: torch.dtype) -> torch.Tensor:
    """Rows [T, in] times W': [T, out]."""
    return _product(rows, weight.rows.values, weight.scale, dtype)


def backward_product(rows: Rows, weights: tuple[EightBitWeight, ...], dtype: torch.dtype) -> torch.Tensor:
    """Gradients of several linears of one input, side by side, times their weights, summed: [T, in].

    Args:
        rows: [T, out of the first + out of the second ...], multiplied by the weights' scales before quantising.
        weights: [out, in] each.
        dtype: of the result.
    """
    values = [weight.rows.values for weight in weights]
    by_column = torch.empty(values[0].shape[1], sum(map(len, values)), dtype=values[0].dtype, device=values[0].device)
    for part, whole in zip(by_column.split([len(each) for each in values], 1), values, strict=True):
        _transpose_into(whole, part)
    ones = torch.ones(len(by_column), dtype=torch.float32, device=by_column.device)
    return _product(rows, by_column, ones, dtype)


def _transpose_into(values: torch.Tensor, output: torch.Tensor) -> None:
    if values.is_cuda:
        from syntune.models.eight_bits import kernels

        kernels.transposed_into(values, output)
    else:
        output.copy_(values.t())


def _product(rows: Rows, right: torch.Tensor, right_scale: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """[T, K] times [N, K]', with both scales: [T, N]."""
    if not right.is_cuda:
        return ((rows.values.float() @ right.float().t()) * rows.scale * right_scale).to(dtype)
    if right.dtype == torch.int8:
        from syntune.models.eight_bits import kernels

        return kernels.int8_product(rows.values, right, rows.scale, right_scale, dtype)
    return torch._scaled_mm(rows.values, right.t(), rows.scale, right_scale[None], out_dtype=dtype, use_fast_accum=True)
