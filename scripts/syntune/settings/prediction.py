"""Settings of prediction: how the benchmarks' questions are answered."""

from pydantic import Field

from syntune.settings.strict import Strict


class PredictionSettings(Strict):
    """Decoding is greedy, always; a benchmark names its own longest answer."""

    batch_size: int = Field(default=8, ge=1, description="questions answered at a time; answers do not depend on it")
