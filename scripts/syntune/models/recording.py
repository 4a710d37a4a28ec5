"""Work of fixed shapes as a CUDA graph: launched by one call, however slow Python is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache

import torch


def run_aside(work: Callable[[], object]) -> None:
    """Run work twice beside what the GPU does, so that what it compiles and sets up is there when it is recorded."""
    stream = _aside(torch.cuda.current_device())
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            work()
    torch.cuda.current_stream().wait_stream(stream)


@cache
def _aside(device: int) -> torch.cuda.Stream:
    """One stream for all such work: cuBLAS keeps a workspace for each stream that it has seen, to the end."""
    return torch.cuda.Stream(device)


@contextmanager
def recording(graph: torch.cuda.CUDAGraph, pool: tuple[int, int] | None = None) -> Iterator[None]:
    """Within it, work is recorded in a graph, in the memory of a pool; other threads may pin memory meanwhile.

    A recording that CUDA broke off cannot be ended by PyTorch, which stays in it: all of that is taken back, so that
    work can go on without it.
    """
    outside, pool = torch.cuda.current_stream(), pool or torch.cuda.graph_pool_handle()
    try:
        with torch.cuda.graph(graph, pool, capture_error_mode="thread_local"):
            yield
    except BaseException:
        if torch.cuda.current_stream() != outside:
            try:
                _leave(outside.device, pool)
            finally:
                torch.cuda.set_stream(outside)
        raise


def _leave(device: torch.device, pool: tuple[int, int]) -> None:
    """Have PyTorch's allocator and random generator leave a recording that was broken off.

    Else PyTorch 2.11 would never free any memory again that it keeps for later, nor draw a random number ("Offset
    increment outside graph capture"). 2.13 sees to it, but for the pool's memory, which stays reserved.
    """
    with suppress(RuntimeError):  # PyTorch has ended it that far
        torch._C._cuda_endAllocateToPool(device.index, pool)
        torch._C._cuda_releasePool(device.index, pool)
    with torch.cuda.graph(torch.cuda.CUDAGraph(), capture_error_mode="thread_local"):  # frees the generator as it ends
        torch.zeros(1, device=device)


class Recording:
    """A function of tensors, recorded once and replayed with other values; what it returns is overwritten each time."""

    def __init__(
        self,
        function: Callable[..., tuple[torch.Tensor, ...]],
        *inputs: torch.Tensor,
        beside: "Recording | None" = None,
    ) -> None:
        """Run the function twice, so that what it compiles is there, then record it.

        Args:
            function: reads its arguments and what else stays where it is on the GPU; it must not wait for the GPU.
            inputs: its arguments, on the GPU; the recording keeps them and reads each call's values from them.
            beside: another recording, in whose memory this one may work, as each's outputs are copied before the other
                is replayed.
        """
        self.inputs = inputs
        run_aside(lambda: function(*inputs))
        self._graph = torch.cuda.CUDAGraph()
        with recording(self._graph, beside and beside._graph.pool()):
            self.outputs = function(*inputs)

    def replay(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The function's outputs for these inputs, of as many rows or fewer; without any, for those that are there."""
        for own, values in zip(self.inputs, given, strict=bool(given)):
            own[: len(values)].copy_(values, non_blocking=True)
        self._graph.replay()
        return self.outputs
