"""The device that a process trains on: which it is, its name, and the memory that training took there."""

import os
import platform
import resource
import sys

import torch

from syntune.errors import UserError
from syntune.models.compiled import keep_compiled_programs
from syntune.settings.runs import TrainedRunSettings
from syntune.training.launch import refuse_missing_gpus
from syntune.training.ranks import Ranks

_GIB = 2**30


def find_device(settings: TrainedRunSettings, ranks: Ranks) -> torch.device:
    """Where this process trains.

    Raises:
        UserError: there are fewer GPUs than are asked for.
    """
    if not settings.gpus:
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # or DeepSpeed would look for a GPU, and say so
        return torch.device("cpu")
    refuse_missing_gpus(settings)
    if ranks.count != settings.gpus:
        raise UserError(f"gpus: {settings.gpus} are asked for, but {ranks.count} processes were started")
    # packs differ in size, and so does what the allocator is asked for: without, it keeps memory that fits nothing more
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    keep_compiled_programs()
    os.environ["ACCELERATE_BYPASS_DEVICE_MAP"] = "true"  # or DDP sends to the GPU what the model reads on the CPU
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    torch.cuda.set_device(device)
    return device


def device_name(device: torch.device) -> str:
    """The GPU's name and memory, or the processor's."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name} ({properties.total_memory / _GIB:.0f} GiB)"
    return f"cpu ({platform.processor() or platform.machine()}, {torch.get_num_threads()} threads)"


def peak_memory_gib(device: torch.device) -> float:
    """Peak memory of this process so far, GiB: allocated on a GPU, resident on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _GIB
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / _GIB


def memory_kind(device: torch.device) -> str:
    """What :func:`peak_memory_gib` measures."""
    return "allocated on the GPU" if device.type == "cuda" else "resident"
