"""GPUs that a plan names: how fast they multiply, how fast their memory is, and how much of it there is.

Dense bfloat16 with float32 sums, without sparsity, and memory bandwidth, from NVIDIA's data sheets: "L40S" (2023),
"A10" (2021), "A100 80GB" (2021), "H100" and "H200" (SXM), and the Ada whitepaper for the RTX 4090.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Chip:
    """A GPU.

    Attributes:
        name: as the plan calls it.
        flops: bfloat16 operations a second.
        bandwidth: bytes a second, of its memory.
        memory_gib: that programs can allocate, the driver's own part left out.
    """

    name: str
    flops: float
    bandwidth: float
    memory_gib: float


CHIPS = [
    Chip("RTX 4090", 165.2e12, 1008e9, 23.5),
    Chip("A10", 125e12, 600e9, 22.0),
    Chip("L40S", 362e12, 864e9, 44.4),
    Chip("A100 80GB", 312e12, 2039e9, 79.1),
    Chip("H100", 989.4e12, 3350e9, 79.2),
    Chip("H200", 989.4e12, 4800e9, 139.8),
]


def chip_of(device: str) -> Chip | None:
    """The GPU of a device's name, such as ``NVIDIA A100-SXM4-80GB (79 GiB)``; None if it is none of these."""
    words = set(re.split(r"[^\w]", device))
    return next((chip for chip in CHIPS if {word for word in chip.name.split() if word[-2:] != "GB"} <= words), None)
