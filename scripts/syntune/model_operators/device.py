"""Where models run."""

import torch

from syntune.errors import UserError


def choose_device(gpus: int | None, threads: int) -> torch.device:
    """The GPU, or ``threads`` threads of the CPU; with ``gpus`` None, the GPU where there is one.

    Matrix products are of full float32 precision on both, so that scores agree to about six decimals.

    Raises:
        UserError: a GPU is asked for, and there is none.
    """
    torch.set_num_threads(threads)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    available = torch.cuda.is_available()
    if gpus and not available:
        raise UserError(
            f"a GPU is asked for, but torch {torch.__version__} sees none on this machine; see "
            "docs/how-to/environments.md for builds of torch"
        )
    return torch.device("cuda" if available and gpus != 0 else "cpu")
