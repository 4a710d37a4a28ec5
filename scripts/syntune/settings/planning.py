"""Settings of the plan: what a config may cost before any of it is run."""

from typing import Literal

from pydantic import Field

from syntune.settings.strict import Strict


class PlanSettings(Strict):
    """What ``snakemake plan`` reckons with."""

    gpu_memory_gib: float | None = Field(
        default=None,
        gt=0,
        description="memory of each GPU that programs can use, in GiB, such as 23.5 of a 24 GB card: a run that is "
        "predicted to need more is refused before anything runs. null refuses none",
    )
    gpu: Literal["RTX 4090", "A10", "L40S", "A100 80GB", "H100", "H200"] | None = Field(
        default=None, description="the GPU that the sum of GPU hours and costs is for; null tells all of these"
    )
    price_per_gpu_hour: float | None = Field(
        default=None, ge=0, description="price of an hour of one GPU, in any one currency; null tells no costs"
    )
