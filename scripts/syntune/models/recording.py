"""Work of fixed shapes as a CUDA graph: launched by one call, however slow Python is."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch


def run_aside(work: Callable[[], object]) -> None:
    """Run work twice beside what the GPU does, so that what it compiles and sets up is there when it is recorded."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            work()
    torch.cuda.current_stream().wait_stream(stream)


def recording(graph: torch.cuda.CUDAGraph, pool: tuple[int, int] | None = None) -> AbstractContextManager:
    """Within it, work is recorded in a graph, in the memory of a pool; other threads may pin memory meanwhile."""
    return torch.cuda.graph(graph, pool, capture_error_mode="thread_local")


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
