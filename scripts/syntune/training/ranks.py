"""The processes that train a run together, one for each GPU, numbered as torchrun numbers them."""

import gc
import os
from dataclasses import dataclass
from typing import Any

import torch

from syntune.settings.runs import TrainedRunSettings


@dataclass(frozen=True)
class Ranks:
    """This process among those that train a run together.

    Attributes:
        rank: this one's number, from 0.
        count: how many there are.
    """

    rank: int
    count: int

    @classmethod
    def here(cls) -> "Ranks":
        """From the environment."""
        return cls(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))

    @property
    def first(self) -> bool:
        """Whether this process writes."""
        return self.rank == 0

    def layout(self, settings: TrainedRunSettings) -> dict[str, Any]:
        """How the run is spread: a checkpoint of the work folder fits the layout that wrote it alone."""
        stage, offload = (settings.zero.stage, settings.zero.offload) if settings.zero else (None, None)
        return {"gpus": settings.gpus, "ranks": self.count, "zero stage": stage, "zero offload": offload}


def leave_ranks() -> None:
    """Part from the other ranks, once training is over and its trainer out of reach.

    A thread of gloo's that is still giving up its last work as Python ends is killed, and the process with it: what
    refers to the group goes first, so that destroying the group ends its threads.
    """
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        gc.collect()
        torch.distributed.destroy_process_group()
