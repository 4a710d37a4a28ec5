"""Work of fixed shapes as a CUDA graph: launched by one call, however slow Python is."""

from collections.abc import Callable

import torch


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
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                function(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        pool = beside and beside._graph.pool()
        with torch.cuda.graph(self._graph, pool, capture_error_mode="thread_local"):  # others pin memory meanwhile
            self.outputs = function(*inputs)

    def replay(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The function's outputs for these inputs, of as many rows or fewer; without any, for those that are there."""
        for own, values in zip(self.inputs, given, strict=bool(given)):
            own[: len(values)].copy_(values, non_blocking=True)
        self._graph.replay()
        return self.outputs
