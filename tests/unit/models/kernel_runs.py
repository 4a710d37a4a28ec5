"""Where the tests of Triton's kernels run: on a GPU, or in Triton's interpreter where there is none."""

import os
import subprocess
import sys

import pytest
import torch

ON_GPU = torch.cuda.is_available()
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cuda" if ON_GPU else "cpu"

runs_kernels = pytest.mark.skipif(not (ON_GPU or INTERPRETED), reason="run in a process of their own")
in_a_process_of_its_own = pytest.mark.skipif(ON_GPU or INTERPRETED, reason="the kernels run in this process")


def interpreted(file: str) -> str:
    """Run a file's tests of kernels in Triton's interpreter, of which Triton must be told before anything imports it.

    Returns:
        What pytest said.
    """
    command = [sys.executable, "-m", "pytest", file, "-k", "not interpreter"]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:]
    return done.stdout
