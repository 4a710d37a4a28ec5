"""Settings of prediction: how the benchmarks' questions are answered."""

from pydantic import Field

from syntune.settings.strict import Strict


class PredictionSettings(Strict):
    """Decoding is greedy, always; a benchmark names its own longest answer."""

    batch_size: int = Field(
        default=8,
        ge=1,
        description="questions answered at a time; perf/predict_speed.py shows what a size takes and gives. On a CPU "
        "answers do not depend on it; on a GPU, in bfloat16, near ties may",
    )
    slices: int = Field(
        default=1,
        ge=1,
        le=999,
        description="jobs that a benchmark's questions are dealt out to, those of an image together",
    )
