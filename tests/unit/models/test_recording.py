from types import SimpleNamespace

import pytest
import torch

from syntune.models import recording as module
from syntune.models.recording import Recording, recording


@pytest.fixture
def cuda(monkeypatch):
    """What is asked of CUDA, with which a recording can be broken off: it then stays on its own stream."""
    told = SimpleNamespace(stream=SimpleNamespace(device=torch.device("cuda", 0)), calls=[], breaks=False)

    class Graph:
        def __init__(self, graph, pool=None, capture_error_mode="global"):
            self.pool, self.outside = pool, told.stream

        def __enter__(self):
            told.calls.append(("begin", self.pool))
            told.stream = "its own"

        def __exit__(self, *error):
            if told.breaks:
                told.breaks = False
                raise RuntimeError("operation failed due to a previous error during capture")
            told.calls.append(("end", self.pool))
            told.stream = self.outside

    def noted(name):
        return lambda *arguments: told.calls.append((name, *arguments))

    monkeypatch.setattr(torch.cuda, "graph", Graph)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: (0, 7))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: told.stream)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: setattr(told, "stream", stream))
    for name in ("endAllocateToPool", "releasePool"):
        monkeypatch.setattr(torch._C, f"_cuda_{name}", noted(name), raising=False)
    monkeypatch.setattr(module.torch, "zeros", lambda *size, device: None)
    return told


def test_a_recording_that_was_broken_off_is_left_behind(cuda):
    outside, cuda.breaks = cuda.stream, True
    with pytest.raises(RuntimeError, match="previous error"), recording(None):
        pass
    assert cuda.stream is outside
    left = [("endAllocateToPool", 0, (0, 7)), ("releasePool", 0, (0, 7))]
    assert cuda.calls == [("begin", (0, 7)), *left, ("begin", None), ("end", None)]


def test_one_that_could_be_ended_is_ended_once(cuda):
    outside = cuda.stream
    with pytest.raises(ZeroDivisionError), recording(None, (0, 3)):
        raise ZeroDivisionError
    assert cuda.stream is outside
    assert cuda.calls == [("begin", (0, 3)), ("end", (0, 3))]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_on_a_gpu_work_goes_on_after_a_recording_that_was_broken_off():
    x, outside = torch.ones(1000, device="cuda"), torch.cuda.current_stream()
    with pytest.raises(RuntimeError), recording(torch.cuda.CUDAGraph()):
        (x * 2).sum().item()  # waits for the GPU, which a recording must not
    assert torch.cuda.current_stream() == outside
    assert 0 <= torch.rand(1, device="cuda").item() < 1
    before = torch.cuda.memory_reserved()
    torch.empty(2**28, device="cuda")  # and is let go of
    torch.cuda.empty_cache()
    assert torch.cuda.memory_reserved() <= before
    assert Recording(lambda y: (y + 1,), torch.zeros(3, device="cuda")).replay(torch.ones(3))[0].tolist() == [2, 2, 2]
