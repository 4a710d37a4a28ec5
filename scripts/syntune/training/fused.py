"""Gemma's decoder layers with LoRA, at less memory and time: the same parameters, the same numbers, another order.

PEFT runs an adapter as its own small linears beside each frozen one. Here the MLP (gate, up and down with their
adapters, and GELU) is one autograd function that keeps its input, two wide tensors and a few narrow ones, and
overwrites the wide ones in the backward pass; norms, q, k, v, o with their adapters and the rotation are one function
that torch.compile turns into few kernels. The parameters stay PEFT's own, so that saving, loading and ZeRO notice
nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from peft import PeftModel
from peft.tuners.lora import Linear as LoraLinear
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers.activations import GELUActivation, GELUTanh
from transformers.models.gemma.modeling_gemma import GemmaDecoderLayer, GemmaMLP, rotate_half

from syntune.models.attention import Kernel, kernel_of
from syntune.training import dropout as seeded

_MLP = ("gate_proj", "up_proj", "down_proj")
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")


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


def fuse_adapters(model: PeftModel, attention: bool = True, compiled: bool = True) -> Fused:
    """Replace the forward of Gemma's decoder layers by fused ones, where they compute the same.

    An MLP is fused where gate, up and down are LoRA linears of one rank and scale on frozen weights; the attention
    block where q, k, v and o are and rows come packed (:mod:`syntune.models.attention`). Anything else, as well as
    merged or disabled adapters and generation with a cache, takes PEFT's own way. A fused backward pass can be run
    once only.

    Dropout is PEFT's in distribution: a mask of its own for each adapter's input. The masks are made from seeds
    (:mod:`syntune.training.dropout`), so they are other masks than PEFT would draw.

    Under ZeRO-3 the decoder layers must be leaf modules (:func:`syntune.training.zero.mark_leaves`), because a fused
    forward reads parameters of its children without calling them.

    Args:
        model: a PEFT model; changed in place.
        attention: fuse the attention blocks too.
        compiled: compile them; without, fusing them saves nothing.
    """
    left: dict[str, None] = {}
    counts = {GemmaMLP: 0, GemmaDecoderLayer: 0}
    for module in model.modules():
        names, owner = _MLP, module
        if isinstance(module, GemmaDecoderLayer) and attention:
            names, owner = _ATTENTION, module.self_attn
        elif not isinstance(module, GemmaMLP):
            continue
        if flaw := _flaw(owner, names):
            left[flaw] = None
            continue
        fused = _mlp_forward if names is _MLP else partial(_layer_forward, compiled=compiled)
        module.forward = partial(fused, module, module.forward)
        counts[type(module)] += 1
    return Fused(counts[GemmaMLP], counts[GemmaDecoderLayer], tuple(left))


@dataclass(frozen=True)
class Adapted:
    """A frozen linear and its adapter: x W' + scale * dropout(x) A' B'."""

    weight: torch.Tensor
    a: torch.Tensor
    b: torch.Tensor

    @classmethod
    def of(cls, linear: LoraLinear) -> "Adapted":
        """The parameters of a PEFT linear."""
        adapter = linear.active_adapters[0]
        return cls(linear.base_layer.weight, linear.lora_A[adapter].weight, linear.lora_B[adapter].weight)

    def to(self, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Its tensors in a dtype."""
        return self.weight.to(dtype), self.a.to(dtype), self.b.to(dtype)


def _flaw(owner: nn.Module, names: tuple[str, ...]) -> str | None:
    """Why these linears cannot be fused, or None."""
    linears = [getattr(owner, name) for name in names]
    if not all(type(linear) is LoraLinear and type(linear.base_layer) is nn.Linear for linear in linears):
        return f"{'/'.join(names)}: not all are plain linears with LoRA"
    if any(len(linear.active_adapters) != 1 or linear.lora_variant for linear in linears):
        return "an adapter is not plain LoRA, or not the only one"
    if any(linear.base_layer.bias is not None or any(linear.lora_bias.values()) for linear in linears):
        return "a linear has a bias"
    if any(linear.base_layer.weight.requires_grad for linear in linears):
        return "a base weight is trained"
    if len({_settings(linear) for linear in linears}) > 1:
        return "adapters differ in rank, scale or dropout"
    if names is _MLP and not isinstance(owner.act_fn, GELUTanh | GELUActivation | nn.GELU):
        return f"the activation is {type(owner.act_fn).__name__}, not GELU"
    return None


def _settings(linear: LoraLinear) -> tuple[int, float, float]:
    """Rank, scale and, in training, probability of dropout."""
    adapter = linear.active_adapters[0]
    drop = linear.lora_dropout[adapter]
    return linear.r[adapter], linear.scaling[adapter], drop.p if isinstance(drop, nn.Dropout) and drop.training else 0.0


def _is_plain(owner: nn.Module, names: tuple[str, ...]) -> bool:
    """Whether PEFT's own way is asked for: merged or disabled adapters."""
    return any(getattr(owner, name).disable_adapters or getattr(owner, name).merged for name in names)


# ------------------------------------------------------------------------------------------------------------- the MLP


def _mlp_forward(mlp: GemmaMLP, original: Callable[..., torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """GemmaMLP.forward, fused."""
    if _is_plain(mlp, _MLP):
        return original(x)
    _, scale, dropout = _settings(mlp.gate_proj)
    device = x.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype
    weights = [tensor for name in _MLP for tensor in Adapted.of(getattr(mlp, name)).to(dtype)]
    seeds = seeded.draw_seeds(3, x.device) if dropout else None
    with torch.autocast(device, enabled=False):
        return AdaptedGeglu.apply(x.to(dtype), *weights, scale, _is_tanh(mlp.act_fn), seeds, dropout)


def _is_tanh(activation: nn.Module) -> bool:
    """Which of GELU's two forms an activation is."""
    return isinstance(activation, GELUTanh) or getattr(activation, "approximate", "none") == "tanh"


class AdaptedGeglu(torch.autograd.Function):
    """down(GELU(gate(x)) * up(x)), each of them a frozen linear with an adapter.

    Kept for the backward pass: x, gate and up before their adapters, and the adapters' narrow outputs. The backward
    pass overwrites gate and up with their gradients.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *arguments: Any) -> torch.Tensor:
        """Args: x [..., H], then weight, A, B of gate, up and down, then scale, tanh, seeds [3, 2] and dropout."""
        gate_w, gate_a, gate_b, up_w, up_a, up_b, down_w, down_a, down_b, scale, tanh, seeds, dropout = arguments
        shape, x = x.shape, x.reshape(-1, x.shape[-1])
        gate_seed, up_seed, down_seed = (None, None, None) if seeds is None else seeds
        gate_low = _dropped(x, gate_seed, dropout) @ gate_a.t()
        up_low = _dropped(x, up_seed, dropout) @ up_a.t()
        gate, up = x @ gate_w.t(), x @ up_w.t()
        h, h_dropped = geglu_forward(gate, up, gate_low, up_low, gate_b, up_b, scale, tanh, down_seed, dropout)
        down_low = h_dropped @ down_a.t()
        del h_dropped
        y = (h @ down_w.t()).addmm_(down_low, down_b.t(), alpha=scale)
        ctx.save_for_backward(x, gate, up, gate_low, up_low, down_low, seeds, *arguments[:9])
        ctx.scale, ctx.tanh, ctx.dropout, ctx.shape, ctx.spent = scale, tanh, dropout, shape, False
        return y.view(shape)

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple:
        """Gradients of x and of the adapters."""
        if ctx.spent:
            raise RuntimeError("a fused layer keeps what its backward pass needs for one backward pass only")
        ctx.spent = True
        x, gate, up, gate_low, up_low, down_low, seeds, *weights = ctx.saved_tensors
        gate_w, gate_a, gate_b, up_w, up_a, up_b, down_w, down_a, down_b = weights
        scale, dropout = ctx.scale, ctx.dropout
        gate_seed, up_seed, down_seed = (None, None, None) if seeds is None else seeds
        dy = dy.reshape(-1, dy.shape[-1])
        d_down_b = (dy.t() @ down_low).mul_(scale)
        d_down_low = (dy @ down_b).mul_(scale)
        d = dy @ down_w
        geglu_backward_(
            d, gate, up, gate_low, up_low, gate_b, up_b, d_down_low, down_a, scale, ctx.tanh, down_seed, dropout
        )
        h_dropped, d_gate, d_up = d, gate, up
        d_down_a = d_down_low.t() @ h_dropped
        del d, h_dropped
        d_gate_b, d_gate_low = (d_gate.t() @ gate_low).mul_(scale), (d_gate @ gate_b).mul_(scale)
        d_up_b, d_up_low = (d_up.t() @ up_low).mul_(scale), (d_up @ up_b).mul_(scale)
        d_gate_a = d_gate_low.t() @ _dropped(x, gate_seed, dropout)
        d_up_a = d_up_low.t() @ _dropped(x, up_seed, dropout)
        dx = None
        if ctx.needs_input_grad[0]:
            dx = (d_gate @ gate_w).addmm_(d_up, up_w)
            if dropout:
                dx += _dropped(d_gate_low @ gate_a, gate_seed, dropout)
                dx += _dropped(d_up_low @ up_a, up_seed, dropout)
            else:
                dx.addmm_(d_gate_low, gate_a).addmm_(d_up_low, up_a)
            dx = dx.view(ctx.shape)
        return dx, None, d_gate_a, d_gate_b, None, d_up_a, d_up_b, None, d_down_a, d_down_b, None, None, None, None


def geglu_forward(
    gate: torch.Tensor,
    up: torch.Tensor,
    gate_low: torch.Tensor,
    up_low: torch.Tensor,
    gate_b: torch.Tensor,
    up_b: torch.Tensor,
    scale: float,
    tanh: bool,
    seed: torch.Tensor | None,
    dropout: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add the adapters to gate and up, multiply GELU(gate) by up, and drop.

    Args:
        gate: [T, I], before its adapter.
        up: [T, I], before its adapter.
        gate_low: [T, r], the adapter's narrow side.
        up_low: [T, r].
        gate_b: [I, r].
        up_b: [I, r].
        scale: of the adapters.
        tanh: GELU's tanh form instead of the exact one.
        seed: int32 [2], of the mask of dropout.
        dropout: probability.

    Returns:
        h [T, I], and h after dropout (the same tensor without).
    """
    if _in_triton(gate):
        from syntune.training import fused_kernels

        return fused_kernels.geglu_forward(gate, up, gate_low, up_low, gate_b, up_b, scale, tanh, seed, dropout)
    gate = gate.addmm(gate_low, gate_b.t(), alpha=scale)
    h = functional.gelu(gate, approximate="tanh" if tanh else "none") * up.addmm(up_low, up_b.t(), alpha=scale)
    return h, _dropped(h, seed, dropout)


def geglu_backward_(
    d: torch.Tensor,
    gate: torch.Tensor,
    up: torch.Tensor,
    gate_low: torch.Tensor,
    up_low: torch.Tensor,
    gate_b: torch.Tensor,
    up_b: torch.Tensor,
    down_low: torch.Tensor,
    down_a: torch.Tensor,
    scale: float,
    tanh: bool,
    seed: torch.Tensor | None,
    dropout: float,
) -> None:
    """Undo :func:`geglu_forward` in place: d becomes h after dropout, gate and up become their gradients.

    Args:
        d: [T, I], the gradient of h through down's frozen weight.
        down_low: [T, r], the gradient of the narrow side of down's adapter.
        down_a: [r, I].
        (others): as for :func:`geglu_forward`.
    """
    if _in_triton(gate):
        from syntune.training import fused_kernels

        fused_kernels.geglu_backward_(
            d, gate, up, gate_low, up_low, gate_b, up_b, down_low, down_a, scale, tanh, seed, dropout
        )
        return
    gate.addmm_(gate_low, gate_b.t(), alpha=scale)
    up.addmm_(up_low, up_b.t(), alpha=scale)
    d += _dropped(down_low @ down_a, seed, dropout)
    approximate = "tanh" if tanh else "none"
    value = functional.gelu(gate, approximate=approximate)
    d_gate = torch.ops.aten.gelu_backward(d * up, gate, approximate=approximate)
    d_up = d * value
    d.copy_(_dropped(value * up, seed, dropout))
    gate.copy_(d_gate)
    up.copy_(d_up)


def _dropped(x: torch.Tensor, seed: torch.Tensor | None, dropout: float) -> torch.Tensor:
    """Dropout by seed, in Triton on a GPU."""
    if dropout and _in_triton(x):
        from syntune.training import fused_kernels

        return fused_kernels.dropped(x, seed, dropout)
    return seeded.dropped(x, seed, dropout) if dropout else x


def _in_triton(tensor: torch.Tensor) -> bool:
    """Half precision on a GPU; in float32 the kernels' products would be rounded to TF32."""
    return tensor.is_cuda and tensor.dtype in (torch.bfloat16, torch.float16)


# ------------------------------------------------------------------------------------------------- the attention block


@dataclass(frozen=True)
class BlockConstants:
    """What an attention block is compiled for."""

    kernel: Kernel
    head_dim: int
    attention_scale: float
    norm_epsilon: float
    adapter_scale: float
    dropout: float


def attention_block(
    x: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    input_norm: torch.Tensor,
    output_norm: torch.Tensor,
    projections: tuple[tuple[torch.Tensor, torch.Tensor, torch.Tensor], ...],
    seeds: torch.Tensor | None,
    bounds: torch.Tensor,
    longest: int,
    constants: BlockConstants,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The first half of a Gemma decoder layer, with adapters on q, k, v and o.

    Args:
        x: [1, T, H], packed rows.
        cos: [1, T, D], of the positions within the rows.
        sin: [1, T, D].
        input_norm: [H], weight of the norm before attention.
        output_norm: [H], weight of the norm after it.
        projections: weight, A and B of q, k, v and o.
        seeds: int32 [4, 2], of their dropout.
        bounds: int32 [rows + 1].
        longest: the longest row.
        constants: of the layer.

    Returns:
        x plus attention, [1, T, H], and its norm: the residual and the MLP's input.
    """

    x, cos, sin = x[0], cos[0].unsqueeze(1), sin[0].unsqueeze(1)

    def narrow(x: torch.Tensor, a: torch.Tensor, seed: torch.Tensor) -> torch.Tensor:
        return seeded.dropped(x, seed, constants.dropout) @ a.t()

    def project(x: torch.Tensor, which: int) -> torch.Tensor:
        weight, a, b = (tensor.to(x.dtype) for tensor in projections[which])
        if seeds is None:
            low = x @ a.t()
        else:  # the backward pass makes mask and dropped input again, or they would be kept: a quarter more memory
            low = checkpoint(narrow, x, a, seeds[which], use_reentrant=False, preserve_rng_state=False)
        return x @ weight.t() + (low @ b.t()) * constants.adapter_scale

    normed = _gemma_norm(x, input_norm, constants.norm_epsilon)
    query, key, value = (project(normed, which).unflatten(-1, (-1, constants.head_dim)) for which in range(3))
    query, key = ((states * cos + rotate_half(states) * sin).to(value.dtype) for states in (query, key))
    mixed = constants.kernel(query, key, value, bounds, longest, constants.attention_scale)
    x = x + project(mixed.flatten(1), 3)
    return x.unsqueeze(0), _gemma_norm(x, output_norm, constants.norm_epsilon).unsqueeze(0)


def _gemma_norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Gemma's RMSNorm: in float32, multiplied by one plus the weight, then rounded."""
    precise = x.float()
    normed = precise * torch.rsqrt(precise.pow(2).mean(-1, keepdim=True) + epsilon)
    return (normed * (1.0 + weight.float())).type_as(x)


@cache
def _block(constants: BlockConstants, compiled: bool) -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """The block for all layers of the same constants: compiled once."""
    block = partial(attention_block, constants=constants)
    return torch.compile(block) if compiled else block


def _layer_forward(
    layer: GemmaDecoderLayer,
    original: Callable[..., torch.Tensor],
    hidden_states: torch.Tensor,
    *args: Any,
    compiled: bool,
    **kwargs: Any,
) -> torch.Tensor:
    """GemmaDecoderLayer.forward, fused where rows are packed."""
    attention = layer.self_attn
    bounds = kwargs.get("cu_seq_lens_q")
    if bounds is None or kwargs.get("past_key_values") is not None or _is_plain(attention, _ATTENTION):
        return original(hidden_states, *args, **kwargs)
    fused = partial(_fused_layer, layer, compiled=compiled, bounds=bounds, longest=kwargs["max_length_q"])
    if layer.gradient_checkpointing and layer.training:  # transformers wraps the class's forward, which is replaced
        return layer._gradient_checkpointing_func(fused, hidden_states, *kwargs["position_embeddings"])
    return fused(hidden_states, *kwargs["position_embeddings"])


def _fused_layer(
    layer: GemmaDecoderLayer,
    hidden_states: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    *,
    compiled: bool,
    bounds: torch.Tensor,
    longest: int,
) -> torch.Tensor:
    """A decoder layer of packed rows: the attention block, then the MLP."""
    attention = layer.self_attn
    _, scale, dropout = _settings(attention.q_proj)
    constants = BlockConstants(
        kernel_of(attention.config._attn_implementation),
        attention.head_dim,
        attention.scaling,
        layer.input_layernorm.eps,
        scale,
        dropout,
    )
    for tensor in (hidden_states, cos, sin):  # packs differ in length: one program for all of them
        torch._dynamo.maybe_mark_dynamic(tensor, 1)
    torch._dynamo.maybe_mark_dynamic(bounds, 0)
    x, normed = _block(constants, compiled)(
        hidden_states,
        cos,
        sin,
        layer.input_layernorm.weight,
        layer.post_attention_layernorm.weight,
        tuple(
            (linear.weight, linear.a, linear.b)
            for linear in (Adapted.of(getattr(attention, name)) for name in _ATTENTION)
        ),
        seeded.draw_seeds(4, hidden_states.device) if dropout else None,
        bounds,
        longest,
    )
    return x + layer.mlp(normed)
