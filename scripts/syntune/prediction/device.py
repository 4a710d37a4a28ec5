"""Where answers are made, and in which arithmetic."""

import torch

from syntune.errors import UserError
from syntune.models.compiled import keep_compiled_programs


def choose_device(gpus: int, threads: int) -> tuple[torch.device, torch.dtype]:
    """The GPU with bfloat16 or, with ``gpus`` 0, ``threads`` threads of the CPU with float32.

    Raises:
        UserError: a GPU is asked for, and there is none.
    """
    torch.set_num_threads(threads)
    if not gpus:
        return torch.device("cpu"), torch.float32
    if not torch.cuda.is_available():
        raise UserError(
            f"the run asks for a GPU (gpus: {gpus}), but torch {torch.__version__} sees none on this machine; "
            "set the run's gpus to 0, or see docs/how-to/environments.md for builds of torch"
        )
    keep_compiled_programs()
    return torch.device("cuda"), torch.bfloat16


def dtype_name(dtype: torch.dtype) -> str:
    """``float32`` or ``bfloat16``."""
    return str(dtype).removeprefix("torch.")
