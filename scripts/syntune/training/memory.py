"""Peak memory of this process, on the device that it trains on."""

import resource
import sys

import torch

GIB = 2**30


def peak_memory_gib(device: torch.device) -> float:
    """Peak memory so far, GiB: allocated on a GPU, resident on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIB
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB


def memory_kind(device: torch.device) -> str:
    """What :func:`peak_memory_gib` measures."""
    return "allocated on the GPU" if device.type == "cuda" else "resident"
