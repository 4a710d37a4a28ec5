"""Gemma's decoder layers with LoRA, at less memory and time: the same parameters, the same numbers, another order.

PEFT runs an adapter as its own small linears beside each frozen one. Here the MLP is one autograd function
(:mod:`syntune.training.gemma.mlp`), and the attention block one compiled function
(:mod:`syntune.training.gemma.attention_block`). The parameters stay PEFT's own, so that saving, loading and ZeRO notice
nothing.
"""

from dataclasses import dataclass
from functools import partial

from peft import PeftModel
from transformers.models.gemma.modeling_gemma import GemmaDecoderLayer, GemmaMLP

from syntune.training.gemma.adapters import ATTENTION, MLP, why_not_fused
from syntune.training.gemma.layer import layer_forward
from syntune.training.gemma.mlp import mlp_forward


@dataclass(frozen=True)
class Fused:
    """What :func:`fuse_adapters` did.

    Attributes:
        mlps: how many MLPs are fused.
        attentions: how many attention blocks are.
        left: why a layer was left as it was, each reason once.
    """

    mlps: int
    attentions: int
    left: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Whether there were layers, and nothing of them is left."""
        return self.mlps > 0 and not self.left


def fuse_adapters(model: PeftModel, compiled: bool = True) -> Fused:
    """Replace the forward of Gemma's decoder layers by fused ones, where they compute the same.

    An MLP is fused where gate, up and down are LoRA linears of one rank and scale on frozen weights; the attention
    block where q, k, v and o are and rows come packed (:mod:`syntune.models.attention`). Anything else, as well as
    merged or disabled adapters and generation with a cache, takes PEFT's own way. A fused backward pass can be run
    once only.

    Dropout is PEFT's in distribution: a mask of its own for each adapter's input. The masks are made from seeds
    (:mod:`syntune.models.dropout`), so they are other masks than PEFT would draw.

    Under ZeRO-3 the decoder layers must be leaf modules (:func:`syntune.training.zero.mark_leaf_modules`), because a
    fused forward reads parameters of its children without calling them.

    Args:
        model: a PEFT model; changed in place.
        compiled: compile the attention blocks; without, fusing them saves nothing.
    """
    left: dict[str, None] = {}
    counts = {GemmaMLP: 0, GemmaDecoderLayer: 0}
    for module in model.modules():
        names, owner = MLP, module
        if isinstance(module, GemmaDecoderLayer):
            names, owner = ATTENTION, module.self_attn
        elif not isinstance(module, GemmaMLP):
            continue
        if reason := why_not_fused(owner, names):
            left[reason] = None
            continue
        fused = mlp_forward if names is MLP else partial(layer_forward, compiled=compiled)
        module.forward = partial(fused, module, module.forward)
        counts[type(module)] += 1
    return Fused(counts[GemmaMLP], counts[GemmaDecoderLayer], tuple(left))
