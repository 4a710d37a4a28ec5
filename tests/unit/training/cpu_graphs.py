"""CUDA graphs without a GPU: what PyTorch runs is noted, and run again into the same memory."""

from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from syntune.training.gemma import graphs, packs


class CpuGraph(TorchDispatchMode):
    """A graph whose memory is its pool's: what it made is lost when the next forward pass begins."""

    made = []
    fails_at = None

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is self.fails_at:
            raise RuntimeError(f"{func} cannot be recorded")
        kwargs = kwargs or {}
        given = {id(tensor.untyped_storage()): tensor for tensor in tensors((args, kwargs))}
        output = func(*args, **kwargs)
        self.calls.append((func, args, kwargs, output))
        self.made += [tensor for tensor in tensors(output) if not any(alike(tensor, one) for one in given.values())]
        return output

    @torch.no_grad()
    def replay(self):
        for func, args, kwargs, output in self.calls:
            for old, new in zip(tensors(output), tensors(func(*args, **kwargs)), strict=True):
                if not alike(old, new):
                    old.copy_(new)

    def lose(self):
        """Overwrite all that was made, as other graphs of the pool may."""
        for tensor in self.made:
            tensor.detach().fill_(float("nan") if tensor.is_floating_point() else 1)


def tensors(tree):
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def alike(one, other):
    """Whether they are of one memory."""
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()


@pytest.fixture
def cpu_graphs(monkeypatch):
    """Has layers recorded on a CPU, as short graphs."""

    @contextmanager
    def recording(graph, pool):
        with graph:
            yield

    monkeypatch.setattr(packs, "_TOKENS", 16)
    monkeypatch.setattr(packs, "_LONGEST", 16)
    monkeypatch.setattr(CpuGraph, "made", [])
    monkeypatch.setattr(torch.cuda, "CUDAGraph", CpuGraph)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", object)
    monkeypatch.setattr(graphs, "recording", recording)
    monkeypatch.setattr(graphs, "run_aside", lambda work: work())
    fill = packs.Pack.fill

    def fill_and_lose(pack, other):
        torch.cuda.CUDAGraph().lose()
        fill(pack, other)

    monkeypatch.setattr(packs.Pack, "fill", fill_and_lose)
