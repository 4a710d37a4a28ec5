"""The operators that run a model, and what their parameters may be."""

from typing import ClassVar

from pydantic import Field

from syntune.settings.strict import Name, Strict

Threshold = float | str
"""A number or, as ``25%``, a percentile of the stat over all rows that reach the operator."""


class ModelParameters(Strict):
    """Parameters of an operator that runs a model."""

    stat: ClassVar[str | None] = None
    """The statistic that it computes; None where it changes rows."""
    thresholds: ClassVar[tuple[str, ...]] = ()
    """The parameters that decide by the statistic which rows stay: the models stage computes, a rows stage decides."""


class _Similarity(ModelParameters):
    """How well picture and text agree."""

    thresholds = ("min_score", "max_score")

    hf_clip: Name = Field(description="a model of the config")
    min_score: Threshold | None = None
    max_score: Threshold | None = None


class _ImageTextSimilarity(_Similarity):
    """CLIP's cosine of picture and text."""

    stat = "image_text_similarity"


MODEL_OPERATORS: dict[str, type[ModelParameters]] = {
    "image_text_similarity_filter": _ImageTextSimilarity,
}
"""By name. A name here makes an operator part of a models stage."""
