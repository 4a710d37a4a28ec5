"""The operators that run a model, and what their parameters may be."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from syntune.errors import UserError
from syntune.settings.reading import read_settings
from syntune.settings.strict import Name, Strict

Threshold = float | str
"""A number, or a percentile of the statistic over all rows that reach the operator."""


class ModelParameters(Strict):
    """Parameters of an operator that runs a model."""

    stat: ClassVar[str | None] = None
    """The statistic that a filter computes; None for a mapper."""
    thresholds: ClassVar[dict[str, Literal["min", "max"]]] = {}
    """A filter's limits. The models stage only computes the statistic; a rows stage applies them."""
    deciding: ClassVar[tuple[str, ...]] = ()
    """Further parameters that the models stage does not need: how the limits are applied."""
    models: ClassVar[dict[str, str]] = {}
    """The parameters that name a model of the config, and what each must be."""

    def named_models(self) -> dict[str, str]:
        """The models that are named, by parameter."""
        named = {parameter: getattr(self, parameter) for parameter in self.models}
        return {parameter: name for parameter, name in named.items() if name is not None}

    def for_scoring(self) -> dict[str, Any]:
        """The parameters that the models stage needs."""
        return self.model_dump(exclude={*self.thresholds, *self.deciding}, exclude_defaults=True)

    def limits(self) -> dict[str, tuple[str, Threshold]]:
        """Each limit that is set, by its parameter: the statistic that it is about, and the threshold."""
        set_ones = ((name, getattr(self, name)) for name in self.thresholds)
        return {name: (self.stat, threshold) for name, threshold in set_ones if threshold is not None}


class SimilarityParameters(ModelParameters):
    """``image_text_similarity_filter``: cosine of CLIP's embeddings of image and text, -1 to 1."""

    stat = "image_text_similarity"
    thresholds = {"min_score": "min", "max_score": "max"}
    deciding = ("any_or_all",)
    models = {"hf_clip": "clip"}

    hf_clip: Name = Field(description="a CLIP of the config's models")
    min_score: Threshold | None = Field(default=None, description="lowest value that is kept")
    max_score: Threshold | None = Field(default=None, description="highest value that is kept")
    any_or_all: Literal["any", "all"] = Field(default="any", description="whether one value within is enough, or all")


MODEL_OPERATORS: dict[str, type[ModelParameters]] = {"image_text_similarity_filter": SimilarityParameters}
"""By the name that a recipe gives it."""


def check_models(process: Any, models: Any, source: str) -> None:
    """Refuse a recipe that names a model that the config has not.

    Raises:
        UserError: naming file, operator, parameter and the key to add.
    """
    for name, parameters in process:
        if name in MODEL_OPERATORS:
            for parameter, model in read_settings(parameters, MODEL_OPERATORS[name], source).named_models().items():
                if model not in models:
                    raise UserError(f"{source}: process: {name}: {parameter}: the config has no model '{model}'")
