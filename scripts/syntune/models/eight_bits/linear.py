"""A frozen language model's wide linears in 8 bits."""

import importlib.util
from functools import cache
from typing import Any

import torch
from torch import nn

from syntune.errors import UserError, one_line
from syntune.models.eight_bits.rows import project
from syntune.models.eight_bits.weights import DTYPES, EightBitWeight, backward_product, empty_rows, forward_product
from syntune.models.family import Family
from syntune.models.transfer import autocast_dtype

WORTH = 1500
"""in * out / (in + out) from which a linear gains more than it costs to quantise its rows and their gradients.

On an H100, 2048 to 16384 (1820) gains, 2048 to 2048 (1024) does not."""

_CAPABILITY = {"fp8": (8, 9), "int8": (8, 0)}
"""The least compute capability that multiplies them."""

_MULTIPLE = 16
"""The products take widths that are multiples of it."""


class EightBitLinear(nn.Linear):
    """A frozen linear whose weight is held in 8 bits; its rows and their gradients are quantised as they come.

    The weight is no parameter: checkpoints, DistributedDataParallel and ZeRO don't see it, and each GPU holds it whole.
    """

    def __init__(self, linear: nn.Linear, dtype: torch.dtype, device: torch.device) -> None:
        """Quantise a linear's weight on ``device``, where it stays."""
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight = EightBitWeight(linear.weight.detach().to(device), dtype)
        self.bias = linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[..., in] to [..., out], in the precision of autocast, where that is on."""
        x = x.to(autocast_dtype(x))
        y = _Frozen.apply(x.flatten(0, -2), self.weight).unflatten(0, x.shape[:-1])
        return y if self.bias is None else y + self.bias.to(y.dtype)


class _Frozen(torch.autograd.Function):
    """Rows times a frozen weight. It keeps nothing: the gradient of the rows doesn't depend on them."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: EightBitWeight) -> torch.Tensor:
        ctx.weight = weight
        return forward_product(project(x, values=empty_rows(x, weight))[1], weight, x.dtype)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple:
        return back_through(dy, ctx.weight), None


def back_through(dy: torch.Tensor, weight: EightBitWeight) -> torch.Tensor:
    """The gradient of a frozen linear's rows [T, in], from its output's [T, out]."""
    dy = dy.contiguous()
    _, rows = project(dy, values=empty_rows(dy, weight), column_scale=weight.scale)
    return backward_product(rows, (weight,), dy.dtype)


def hold_in_eight_bits(
    model: nn.Module, base: Any, family: Family, precision: str, device: torch.device, worth: float = WORTH
) -> list[str]:
    """Replace the language model's frozen linears that are wide enough by :class:`EightBitLinear`.

    The output layer, the connector and the vision towers stay as they are, and so do linears that are too narrow to
    gain. Under an adapter, its base layer is replaced.

    Args:
        model: changed in place; it may be wrapped by PEFT.
        base: the model of ``family`` in it.
        family: its family.
        precision: "fp8" or "int8".
        device: where it will run.
        worth: see :data:`WORTH`.

    Returns:
        The names of the linears that are in 8 bits now.

    Raises:
        UserError: the device has no such products, none of the linears is wide enough, or a width doesn't fit.
    """
    if flaw := flaw_of(precision, device):
        raise UserError(f"base_precision: {precision} does not work here ({flaw}); take bf16")
    outside = {id(part) for whole in (*family.towers(base), *family.connector(base)) for part in whole.modules()}
    outside.add(id(base.get_output_embeddings()))
    held = []
    for name, linear in list(model.named_modules()):
        if type(linear) is not nn.Linear or id(linear) in outside or linear.weight.requires_grad or ".lora_" in name:
            continue
        wide, deep = linear.in_features, linear.out_features
        if wide * deep / (wide + deep) < worth:
            continue
        if wide % _MULTIPLE or deep % _MULTIPLE:
            raise UserError(
                f"base_precision: {precision} takes widths that are multiples of {_MULTIPLE}, and {name} goes from "
                f"{wide} to {deep}; take bf16"
            )
        model.set_submodule(name, EightBitLinear(linear, DTYPES[precision], device))
        held.append(name)
    if not held:
        raise UserError(f"base_precision: no linear of this model is wide enough to gain from {precision}; take bf16")
    return held


@cache
def flaw_of(precision: str, device: torch.device) -> str | None:
    """Why products in this precision cannot be used on a device, or None: a small one is compared to the exact one."""
    if device.type == "cuda":
        least, here = _CAPABILITY[precision], torch.cuda.get_device_capability(device)
        if here < least:
            return f"it needs compute capability {least[0]}.{least[1]}, and this GPU has {here[0]}.{here[1]}"
        if importlib.util.find_spec("triton") is None:
            return "the package triton is not installed"
    generator = torch.Generator().manual_seed(0)
    x, w = (torch.randn(64, 64, generator=generator).to(device, torch.bfloat16) for _ in range(2))
    try:
        found = _Frozen.apply(x, EightBitWeight(w, DTYPES[precision]))
    except Exception as error:  # a build of PyTorch without them fails in any way it likes
        return f"{type(error).__name__}: {one_line(error)}"
    wanted = x.double() @ w.double().t()
    apart = ((found.double() - wanted).norm() / wanted.norm()).item()
    return None if apart < 0.1 else f"its products differ from exact ones by {apart:.2g}"
