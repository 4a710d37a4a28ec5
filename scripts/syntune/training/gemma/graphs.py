"""Gemma's fused layers as CUDA graphs: two launches a micro-batch instead of thousands, so Python cannot set the pace.

A graph has fixed sizes: packs are padded to one of a few (:mod:`syntune.training.gemma.packs`).
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
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
from syntune.training.gemma.packs import Pack, Size

log = logging.getLogger("train")

_NEAR = 1.02
"""A graph that is at most so many times as long as a pack is taken for it, before another is recorded."""

_MOST = 6
"""Graphs that are recorded for packs that fit in another; each keeps two tensors of a hidden state's size."""


def record_layers(model: nn.Module, compiled: bool = True) -> "RecordedLayers | None":
    """Have the layers of a Gemma run as CUDA graphs, in training on a GPU, where all of them are fused.

    The addresses of its parameters must stay: not for ZeRO, which moves them.

    Args:
        model: after :func:`syntune.training.gemma.fuse.fuse_adapters`; changed in place.
        compiled: as there.

    Returns:
        What will be recorded; None where it was not done: the attention's kernel must be one that a graph can hold.
    """
    (gemma,) = (module for module in model.modules() if isinstance(module, GemmaModel))
    if not is_recordable(gemma.config._attn_implementation):
        return None
    recorded = RecordedLayers(gemma, compiled)
    gemma.forward = partial(_forward, gemma, gemma.forward, recorded)
    return recorded


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
        self.places = [
            (module, name)
            for module in gemma.layers.modules()
            for name, weight in module.named_parameters(recurse=False)
            if _is_trained(weight)
        ]
        self.trained = [getattr(*place) for place in self.places]
        self.graphs: dict[Size, _Graph] = {}
        self.most = _MOST
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
        new = pack.size.rounded_up(self.graphs)
        if best and (best.tokens <= max(_NEAR * pack.size.tokens, new.tokens) or len(self.graphs) >= self.most):
            return self.graphs[best]
        if self.pool is None:
            self.pool = torch.cuda.graph_pool_handle()
            self.gradients = torch.cat([torch.empty_like(weight).flatten() for weight in self.trained])
        try:
            self.graphs[new] = _Graph(new, pack, self)
            return self.graphs[new]
        except torch.OutOfMemoryError:
            if not self.graphs:
                raise
            self.most = len(self.graphs) if best else 1
        except RuntimeError as error:  # a driver, a kernel or a build that cannot be recorded
            log.warning("layers run without CUDA graphs, and slower: %s", one_line(error))
            self.fails = True
            self.forget()
            return None
        log.info("no memory is left to record the layers for %d tokens beside other lengths", new.tokens)
        if best:
            return self.graphs[best]
        self.forget()
        return self.graph_for(pack)

    def forget(self) -> None:
        """Let go of all graphs, with the memory that they hold."""
        self.graphs.clear()
        self.pool = self.gradients = None

    @contextmanager
    def twins(self) -> Iterator[list[nn.Parameter]]:
        """Within it, the layers have other parameters, of the same memory.

        DistributedDataParallel, or a loss that is still there, keeps autograd's nodes of the parameters themselves.
        These belong to the stream that they were made on, for which a recording would have to wait, and cannot.
        """
        twins = [nn.Parameter(weight.detach()) for weight in self.trained]
        try:
            for place, twin in zip(self.places, twins, strict=True):
                setattr(*place, twin)
            yield twins
        finally:
            for place, weight in zip(self.places, self.trained, strict=True):
                setattr(*place, weight)


class _Graph:
    """The layers' forward and backward pass for packs of up to a size.

    The backward pass reads the output's gradient where the output was, and writes the input's where the input was.
    """

    def __init__(self, size: Size, pack: Pack, recorded: RecordedLayers) -> None:
        """Record."""
        self.recorded = recorded
        self.pack = pack.room(size)
        self.pack.fill(pack)
        dtype, is_on = torch.get_autocast_dtype("cuda"), torch.is_autocast_enabled("cuda")
        with torch.autocast("cuda", dtype, is_on, cache_enabled=False), recorded.twins() as twins:
            self.warm_up()
            if not recorded.graphs:
                self.try_out()
            self.forward, self.backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
            with recording(self.forward, recorded.pool):
                output = recorded.run(self.pack)
            self.output = output.detach()
            with recording(self.backward, recorded.pool):
                d_hidden, *gradients = torch.autograd.grad(output, (self.pack.hidden, *twins), self.output)
                self.pack.hidden.detach().copy_(d_hidden)
                torch.cat([gradient.flatten() for gradient in gradients], out=recorded.gradients)
        log.info("recorded the layers as a CUDA graph for %d tokens of %d rows", size.tokens, size.rows - 1)

    def warm_up(self) -> None:
        """Run the layers, so that no program is compiled, and no library set up, while recording.

        Beside other graphs, one of them: all run the same programs, and one takes little of the memory that is left.
        """
        layers = self.recorded.gemma.layers[: 1 if self.recorded.graphs else None]
        trained = list(filter(_is_trained, layers.parameters()))

        def work() -> None:
            output = self.recorded.run(self.pack, layers)
            torch.autograd.grad(output, (self.pack.hidden, *trained), torch.zeros_like(output))

        run_aside(work)

    def try_out(self) -> None:
        """Record one layer, for nothing.

        Of a recording that was broken off, PyTorch 2.13 never frees the memory: it should not be that of all layers.
        """
        layers, pool = self.recorded.gemma.layers[:1], torch.cuda.graph_pool_handle()
        forward, backward = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        with recording(forward, pool):
            output = self.recorded.run(self.pack, layers)
        with recording(backward, pool):
            torch.autograd.grad(output, list(filter(_is_trained, layers.parameters())), torch.zeros_like(output))


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
        if graph is None or graph.recorded.turn != ctx.turn:
            raise RuntimeError("a recorded layer keeps what its backward pass needs until the next forward pass only")
        ctx.graph = None  # a loss that is still there must not keep the memory of a graph that was let go of
        graph.recorded.turn += 1
        graph.output[:, : ctx.tokens].copy_(d_output)
        graph.output[:, ctx.tokens :].zero_()
        graph.backward.replay()
        trained = graph.recorded.trained
        parts = graph.recorded.gradients.clone().split([weight.numel() for weight in trained])
        gradients = [part.view_as(weight) for part, weight in zip(parts, trained, strict=True)]
        return None, None, graph.pack.hidden[:, : ctx.tokens].detach().clone(), *gradients


def _is_trained(weight: nn.Parameter) -> bool:
    return weight.requires_grad
