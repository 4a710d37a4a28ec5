"""Whether Triton's kernels are used."""

import logging
from functools import cache

import torch

from syntune.errors import one_line
from syntune.models.transfer import is_half_on_gpu

log = logging.getLogger(__name__)


def in_triton(tensor: torch.Tensor) -> bool:
    """Whether a kernel of Triton's is to work on a tensor: half precision, on a GPU, where such kernels can be made."""
    return is_half_on_gpu(tensor) and triton_works()


@cache
def triton_works() -> bool:
    """Whether a kernel can be built and run here: it takes a C compiler, and a build of PyTorch that has Triton."""
    try:
        from syntune.models.mgm.gemma_kernels import rms_norm

        ones = torch.ones(1, 16, dtype=torch.bfloat16, device="cuda")
        return bool((rms_norm(ones, ones[0] * 0, 0.0) == ones).all())
    except Exception as error:  # a compiler that is missing or does not work fails in any way it likes
        log.warning("Triton's kernels do not work here (%s), so answers come more slowly", one_line(error, 120))
        return False
