"""Gemma's fused layers as CUDA graphs: two launches a micro-batch instead of thousands, so Python cannot set the pace.

A graph has fixed sizes. Packs are padded to one of a few: the padding is a row of its own, which no other row sees and
the loss ignores.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.models.gemma.modeling_gemma import GemmaModel

from syntune.errors import one_line
from syntune.models import dropout as seeded
from syntune.models.attention import is_recordable
from syntune.models.recording import recording, run_aside
from syntune.training.gemma.adapters import ATTENTION, MLP, takes_pefts_way
from syntune.training.gemma.layer import SEEDS, drops, run_layer

log = logging.getLogger("train")

_TOKENS, _ROWS, _LONGEST = 128, 8, 512
"""A graph's sizes are multiples of these."""

_NEAR = 1.02
"""A graph that is at most so many times as long as a pack is taken for it, before another is recorded."""

_MOST = 6
"""Graphs that are recorded for packs that fit in another; each keeps four tensors of a hidden state's size."""


@dataclass(frozen=True)
class Size:
    """What a graph takes: tokens, rows, and tokens of the longest row."""

    tokens: int
    rows: int
    longest: int

    def holds(self, other: "Size") -> bool:
        """Whether a pack of the other size fits, with a row of padding."""
        longest = max(other.longest, self.tokens - other.tokens)
        return self.tokens >= other.tokens and self.rows > other.rows and self.longest >= longest

    def rounded_up(self, others: Iterable["Size"]) -> "Size":
        """The size of the graph that is recorded for it beside others.

        Padding is one row more. In what costs little, rows and the longest row, no graph is smaller than another.
        """
        tokens = _up(self.tokens, _TOKENS)
        rows = [_up(self.rows + 1, _ROWS), *(other.rows for other in others)]
        longest = [_up(max(self.longest, tokens - self.tokens), _LONGEST), *(other.longest for other in others)]
        return Size(tokens, max(rows), max(longest))


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


@dataclass(frozen=True)
class Pack:
    """What the layers take: packed rows.

    Attributes:
        hidden: [1, T, H].
        cos: [1, T, D], of the positions within the rows.
        sin: [1, T, D].
        bounds: int32 [rows + 1].
        longest: the longest row.
        seeds: int32 [layers, 7, 2], of dropout, or None.
    """

    hidden: torch.Tensor
    cos: torch.Tensor
    sin: torch.Tensor
    bounds: torch.Tensor
    longest: int
    seeds: torch.Tensor | None

    @property
    def size(self) -> Size:
        """Its size."""
        return Size(self.hidden.shape[1], len(self.bounds) - 1, self.longest)

    def room(self, size: Size) -> "Pack":
        """One like it, of zeros, in which packs of up to a size are put by :meth:`fill`."""
        wide = [part.new_zeros(1, size.tokens, part.shape[2]) for part in (self.hidden, self.cos, self.sin)]
        seeds = None if self.seeds is None else self.seeds.clone()
        return Pack(wide[0].requires_grad_(), *wide[1:], self.bounds.new_zeros(size.rows + 1), size.longest, seeds)

    @torch.no_grad()
    def fill(self, other: "Pack") -> None:
        """Put another pack in this one's tensors; what follows its last row becomes a row of zeros."""
        tokens, rows = other.size.tokens, other.size.rows
        for own, given in ((self.hidden, other.hidden), (self.cos, other.cos), (self.sin, other.sin)):
            own[:, :tokens].copy_(given)
            own[:, tokens:].zero_()
        self.bounds[: rows + 1].copy_(other.bounds)
        self.bounds[rows + 1 :].fill_(self.size.tokens)
        if self.seeds is not None:
            self.seeds.copy_(other.seeds)


def record_layers(model: nn.Module, compiled: bool = True) -> bool:
    """Have the layers of a Gemma run as CUDA graphs, in training on a GPU, where all of them are fused.

    The addresses of its parameters must stay: not for ZeRO, which moves them.

    Args:
        model: after :func:`syntune.training.gemma.fuse.fuse_adapters`; changed in place.
        compiled: as there.

    Returns:
        Whether it was done: the attention's kernel must be one that a graph can hold.
    """
    (gemma,) = (module for module in model.modules() if isinstance(module, GemmaModel))
    if not is_recordable(gemma.config._attn_implementation):
        return False
    gemma.forward = partial(_forward, gemma, gemma.forward, RecordedLayers(gemma, compiled))
    return True


def _forward(
    gemma: GemmaModel, original: Callable[..., Any], recorded: "RecordedLayers", *args: Any, **kwargs: Any
) -> BaseModelOutputWithPast:
    """GemmaModel.forward; a training batch of packed rows goes through graphs."""
    bounds, hidden = kwargs.get("cu_seq_lens_q"), kwargs.get("inputs_embeds")
    first = gemma.layers[0]
    if (
        bounds is None
        or hidden is None
        or not hidden.is_cuda
        or not (gemma.training and torch.is_grad_enabled())
        or takes_pefts_way(first.self_attn, ATTENTION)
        or takes_pefts_way(first.mlp, MLP)
    ):
        return original(*args, **kwargs)
    cos, sin = gemma.rotary_emb(hidden, position_ids=kwargs["position_ids"])
    count = len(gemma.layers)
    seeds = seeded.draw_seeds(count * SEEDS, hidden.device).view(count, SEEDS, 2) if drops(first) else None
    hidden = recorded(Pack(hidden, cos, sin, bounds, kwargs["max_length_q"], seeds))
    return BaseModelOutputWithPast(last_hidden_state=gemma.norm(hidden))


class RecordedLayers:
    """The layers, and what was recorded of them."""

    def __init__(self, gemma: GemmaModel, compiled: bool) -> None:
        self.gemma, self.compiled = gemma, compiled
        self.trained = [weight for weight in gemma.layers.parameters() if weight.requires_grad]
        self.graphs: dict[Size, _Graph] = {}
        self.gradients: torch.Tensor | None = None
        self.pool: Any = None  # what one graph keeps from its forward to its backward pass, the next may overwrite
        self.turn = 0
        self.fails = False

    def __call__(self, pack: Pack) -> torch.Tensor:
        """[1, T, H], after the last layer."""
        graph = None if self.fails else self.graph_for(pack)
        if graph is None:
            return self.run(pack)
        return _Replayed.apply(graph, pack, pack.hidden, *self.trained)

    def run(self, pack: Pack, layers: Iterable[nn.Module] | None = None) -> torch.Tensor:
        """All layers, or some, without a graph."""
        hidden = pack.hidden
        for number, layer in enumerate(layers or self.gemma.layers):
            seeds = None if pack.seeds is None else pack.seeds[number]
            hidden = run_layer(layer, hidden, pack.cos, pack.sin, seeds, pack.bounds, pack.longest, self.compiled)
        return hidden

    def graph_for(self, pack: Pack) -> "_Graph | None":
        """One that the pack fits in, recorded now if none is near; None where recording fails."""
        fitting = [size for size in self.graphs if size.holds(pack.size)]
        best = min(fitting, key=lambda size: size.tokens, default=None)
        if best is None or (best.tokens > _NEAR * pack.size.tokens and len(self.graphs) < _MOST):
            best = pack.size.rounded_up(self.graphs)
            if self.pool is None:
                self.pool = torch.cuda.graph_pool_handle()
                self.gradients = torch.cat([torch.empty_like(weight).flatten() for weight in self.trained])
            try:
                self.graphs[best] = _Graph(best, pack, self)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:  # a driver, a kernel or a build that cannot be recorded
                log.warning("layers run without CUDA graphs, and slower: %s", one_line(error))
                self.fails = True
                self.graphs.clear()  # with the memory that they hold
                self.pool = self.gradients = None
                return None
        return self.graphs[best]


class _Graph:
    """The layers' forward and backward pass for packs of up to a size."""

    def __init__(self, size: Size, pack: Pack, recorded: RecordedLayers) -> None:
        """Record."""
        self.recorded = recorded
        self.pack = pack.room(size)
        self.pack.fill(pack)
        self.d_output = torch.zeros_like(self.pack.hidden)
        inputs = (self.pack.hidden, *recorded.trained)
        dtype, is_on = torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda")
        with torch.autocast("cuda", dtype, is_on, cache_enabled=False):
            self.warm_up()
            self.forward, self.backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
            with recording(self.forward, recorded.pool):
                output = recorded.run(self.pack)
            with recording(self.backward, recorded.pool):
                self.d_hidden, *gradients = torch.autograd.grad(output, inputs, self.d_output)
                torch.cat([gradient.flatten() for gradient in gradients], out=recorded.gradients)
        self.output = output.detach()
        log.info("recorded the layers as a CUDA graph for %d tokens of %d rows", size.tokens, size.rows - 1)

    def warm_up(self) -> None:
        """Run the layers, so that no program is compiled, and no library set up, while recording.

        Beside other graphs, two of them: all run the same programs, and two take little of the memory that is left.
        """
        layers = self.recorded.gemma.layers[: 2 if self.recorded.graphs else None]
        trained = [weight for weight in layers.parameters() if weight.requires_grad]

        def work() -> None:
            output = self.recorded.run(self.pack, layers)
            torch.autograd.grad(output, (self.pack.hidden, *trained), self.d_output)

        run_aside(work)


class _Replayed(torch.autograd.Function):
    """A graph's two halves, as autograd runs them."""

    @staticmethod
    def forward(ctx: Any, graph: _Graph, pack: Pack, hidden: torch.Tensor, *trained: nn.Parameter) -> torch.Tensor:
        graph.pack.fill(pack)
        graph.forward.replay()
        graph.recorded.turn += 1
        ctx.graph, ctx.turn, ctx.tokens = graph, graph.recorded.turn, hidden.shape[1]
        return graph.output[:, : ctx.tokens].clone()

    @staticmethod
    def backward(ctx: Any, d_output: torch.Tensor) -> tuple:
        graph = ctx.graph
        if graph.recorded.turn != ctx.turn:
            raise RuntimeError("a recorded layer keeps what its backward pass needs until the next forward pass only")
        graph.recorded.turn += 1
        graph.d_output[:, : ctx.tokens].copy_(d_output)
        graph.d_output[:, ctx.tokens :].zero_()
        graph.backward.replay()
        trained = graph.recorded.trained
        parts = graph.recorded.gradients.clone().split([weight.numel() for weight in trained])
        gradients = [part.view_as(weight) for part, weight in zip(parts, trained, strict=True)]
        return None, None, graph.d_hidden[:, : ctx.tokens].clone(), *gradients
