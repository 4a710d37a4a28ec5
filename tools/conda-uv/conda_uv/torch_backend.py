"""Which build of torch: on Linux, PyPI's depends on the CUDA libraries, which a machine without a GPU never uses."""

import os
import shutil
import sys
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from conda_uv.messages import say
from conda_uv.spec import Spec

VARIABLE = "SYNTUNE_TORCH_BACKEND"
CPU_BUILDS = "https://download.pytorch.org/whl/cpu/torch/"
TORCH = {"torch", "torchvision", "torchaudio"}
NEEDS_CUDA = {"flash-attn", "liger-kernel", "triton"}


def choose_torch_backend(spec: Spec, index_chosen_by_user: bool) -> str | None:
    """The value for ``uv pip install --torch-backend``; None leaves it to the package index.

    SYNTUNE_TORCH_BACKEND is ``auto`` (the default), ``index`` (always leave it to the index) or a backend of uv
    (``cpu``, ``cu130``, ...). ``auto`` takes CPU builds where they lose nothing: nobody chose an index and no GPU can
    be meant. A spec whose packages need CUDA never gets a CPU build.
    """
    wish = os.environ.get(VARIABLE) or "auto"
    if wish == "index" or not spec.packages & TORCH:
        return None
    if wish in ("auto", "cpu") and spec.packages & NEEDS_CUDA:
        return None
    if wish != "auto":
        return wish
    if index_chosen_by_user or os.environ.get("UV_TORCH_BACKEND") or gpu_possible():
        return None
    if not reachable(CPU_BUILDS):
        say(f"{CPU_BUILDS} cannot be reached: torch comes from the package index, perhaps with CUDA libraries")
        return None
    say(f"no NVIDIA GPU here: torch without CUDA, from {CPU_BUILDS} ({VARIABLE}=index for the package index's)")
    return "cpu"


def gpu_possible() -> bool:
    """Whether jobs may meet an NVIDIA GPU, here or on the nodes of a cluster, or torch comes without CUDA anyway."""
    here = any(Path("/dev").glob("nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None
    return here or shutil.which("sbatch") is not None or sys.platform != "linux"


def reachable(url: str) -> bool:
    """Whether a page can be fetched within ten seconds."""
    try:
        with urlopen(url, timeout=10):
            return True
    except (OSError, HTTPException):
        return False
