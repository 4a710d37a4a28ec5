"""Gemma's linears with their LoRA adapters, as the fused layers read them from PEFT."""

from dataclasses import dataclass

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from transformers.activations import GELUActivation, GELUTanh

from syntune.models.eight_bits.linear import EightBitLinear
from syntune.models.eight_bits.weights import EightBitWeight
from syntune.models.rank_tiles import MOST_RANK

MLP = ("gate_proj", "up_proj", "down_proj")
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


@dataclass(frozen=True)
class AdaptedLinear:
    """A frozen linear and its adapter: x W' + scale * dropout(x) A' B'."""

    weight: torch.Tensor | EightBitWeight
    a: torch.Tensor
    b: torch.Tensor

    @classmethod
    def from_peft(cls, linear: LoraLinear) -> "AdaptedLinear":
        """The parameters of a PEFT linear."""
        adapter = linear.active_adapters[0]
        return cls(linear.base_layer.weight, linear.lora_A[adapter].weight, linear.lora_B[adapter].weight)

    def to(self, dtype: torch.dtype) -> tuple[torch.Tensor | EightBitWeight, torch.Tensor, torch.Tensor]:
        """Its tensors in a dtype; a weight in 8 bits stays so."""
        weight = self.weight if isinstance(self.weight, EightBitWeight) else self.weight.to(dtype)
        return weight, self.a.to(dtype), self.b.to(dtype)


def why_not_fused(owner: nn.Module, names: tuple[str, ...]) -> str | None:
    """Why these linears cannot be fused, or None."""
    linears = [getattr(owner, name) for name in names]
    kinds = {type(linear.base_layer) if type(linear) is LoraLinear else None for linear in linears}
    if kinds != {nn.Linear} and not (names is MLP and kinds == {EightBitLinear}):
        return f"{'/'.join(names)}: not all are plain linears with LoRA"
    if any(len(linear.active_adapters) != 1 or linear.lora_variant for linear in linears):
        return "an adapter is not plain LoRA, or not the only one"
    if any(linear.base_layer.bias is not None or any(linear.lora_bias.values()) for linear in linears):
        return "a linear has a bias"
    if any(linear.base_layer.weight.requires_grad for linear in linears):
        return "a base weight is trained"
    if len({lora_settings(linear) for linear in linears}) > 1:
        return "adapters differ in rank, scale or dropout"
    if lora_settings(linears[0])[0] > MOST_RANK:
        return f"the adapters' rank is over {MOST_RANK}"
    if names is MLP and not isinstance(owner.act_fn, GELUTanh | GELUActivation | nn.GELU):
        return f"the activation is {type(owner.act_fn).__name__}, not GELU"
    return None


def lora_settings(linear: LoraLinear) -> tuple[int, float, float]:
    """Rank, scale and, in training, probability of dropout."""
    adapter = linear.active_adapters[0]
    drop = linear.lora_dropout[adapter]
    return linear.r[adapter], linear.scaling[adapter], drop.p if isinstance(drop, nn.Dropout) and drop.training else 0.0


def takes_pefts_way(owner: nn.Module, names: tuple[str, ...]) -> bool:
    """Whether PEFT's own way is asked for: merged or disabled adapters."""
    return any(getattr(owner, name).disable_adapters or getattr(owner, name).merged for name in names)
