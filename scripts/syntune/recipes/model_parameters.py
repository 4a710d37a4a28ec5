"""The recipe's operators that need a model: their parameters, the statistic that each computes and its limits.

Names and parameters are Data-Juicer's where it has the operator. Three things differ: a parameter that names a model
holds a name from the config's ``models``, a limit that is left out limits nothing, and a limit may be a percentile of
the rows that reach the operator, as text: ``"25%"``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from syntune.errors import UserError
from syntune.settings.reading import read_settings
from syntune.settings.strict import Name, Strict

Percentile = Annotated[str, StringConstraints(pattern=r"^(100(\.0+)?|\d{1,2}(\.\d+)?)%$")]
Threshold = float | Percentile
"""A number, or a percentile of the statistic over all rows that reach the operator."""

Stat = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]

_LOW = "lowest value that is kept; a number, a percentile such as 25%, or null"
_HIGH = "highest value that is kept; a number, a percentile such as 75%, or null"


class _ModelParameters(Strict):
    """What every operator with a model has."""

    trust_remote_code: Literal[False] = Field(
        default=False, description="a model's own code is never run: only false is taken"
    )


class _FilterParameters(_ModelParameters):
    """What every filter has."""

    any_or_all: Literal["any", "all"] = Field(
        default="any", description="keep a row if any of its values lies within the limits, or only if all do"
    )


class _PairFilterParameters(_FilterParameters):
    """A filter by a score of image and text."""

    min_score: Threshold | None = Field(default=None, description=_LOW)
    max_score: Threshold | None = Field(default=None, description=_HIGH)
    horizontal_flip: bool = Field(default=False, description="mirror the image, left to right, before it is scored")
    vertical_flip: bool = Field(default=False, description="turn the image upside down before it is scored")
    reduce_mode: Literal["avg", "max", "min"] = Field(
        default="avg", description="the score of a text with several images: mean, highest or lowest"
    )


class SimilarityParameters(_PairFilterParameters):
    """``image_text_similarity_filter``: cosine of CLIP's embeddings of image and text, -1 to 1."""

    hf_clip: Name = Field(description="a CLIP of the config's models")


class MatchingParameters(_PairFilterParameters):
    """``image_text_matching_filter``: BLIP's probability that image and text belong together, 0 to 1."""

    hf_blip: Name = Field(description="a BLIP for image-text retrieval of the config's models")


class WatermarkParameters(_FilterParameters):
    """``image_watermark_filter``: a classifier's probability of its class 1, a watermark."""

    hf_watermark_model: Name = Field(description="an image classifier of the config's models; class 1: a watermark")
    prob_threshold: Threshold | None = Field(default=None, description=_HIGH)


class NsfwParameters(_FilterParameters):
    """``image_nsfw_filter``: a classifier's probability of its class 1, not safe for work."""

    hf_nsfw_model: Name = Field(description="an image classifier of the config's models; class 1: not safe for work")
    min_score: Threshold | None = Field(default=None, description=_LOW)
    max_score: Threshold | None = Field(default=None, description=_HIGH)


class AestheticsParameters(_FilterParameters):
    """``image_aesthetics_filter``: a regression's score of beauty, 0 to 1."""

    hf_scorer_model: Name = Field(description="an aesthetics predictor of the config's models")
    min_score: Threshold | None = Field(default=None, description=_LOW)
    max_score: Threshold | None = Field(default=None, description=_HIGH)


Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class RecaptionParameters(_ModelParameters):
    """``recaption_mapper``: a model writes a new caption for a row of one image; the text is replaced by it."""

    model: Name = Field(description="the captioner: a base model of the config's models, or an endpoint")
    prompt: Prompt | list[Prompt] = Field(
        default="Describe this image in one short sentence.",
        description="what the model is asked; decoding is greedy, so several candidates take as many prompts",
    )
    candidates: int = Field(default=1, ge=1, le=16, description="captions to ask for, each by a prompt of its own")
    max_new_tokens: int = Field(
        default=64, ge=1, description="longest reply, in tokens; a reply that is cut there is no candidate"
    )
    max_words: int | None = Field(
        default=None, ge=1, description="longest caption, in words; a longer one is no candidate; null: any"
    )
    below: dict[Stat, Threshold] = Field(
        default_factory=dict,
        description="only rows whose statistic, at its highest, lies below this (all of them); empty: every row",
    )
    keep_if_better: Name | None = Field(
        default=None,
        description="a CLIP of the config's models: the best candidate replaces the text only if its similarity is "
        "higher than the text's; null: the first candidate replaces it",
    )
    max_failed_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="largest share of the chunk's rows to be captioned for which the model may give no candidate; "
        "they keep their text, are counted, and above it the job stops",
    )

    @model_validator(mode="after")
    def _a_prompt_each(self) -> "RecaptionParameters":
        if self.candidates > len(self.prompts):
            raise ValueError(
                f"candidates {self.candidates} take as many prompts, as decoding is greedy; prompt has "
                f"{len(self.prompts)}: give a list"
            )
        return self

    @property
    def prompts(self) -> list[str]:
        """The prompts as a list."""
        return [self.prompt] if isinstance(self.prompt, str) else list(self.prompt)


ModelKind = Literal["clip", "blip", "classifier", "aesthetics", "captioner"]
"""What a parameter wants of the model that it names."""


@dataclass(frozen=True)
class ModelOperator:
    """An operator that needs a model.

    Attributes:
        parameters: the class of its parameters.
        models: the parameters that name a model, and what each must be.
        stat: the statistic that a filter computes: a list of numbers for each row, one for each text with images or
            one for each image; None for a mapper.
        limits: a filter's thresholds: each one's parameter and whether it is the lowest or highest value kept, both
            inclusive. A row without a value (it has no image) is kept.
    """

    parameters: type[_ModelParameters]
    models: Mapping[str, ModelKind]
    stat: str | None = None
    limits: Mapping[str, Literal["min", "max"]] = field(default_factory=dict)

    @property
    def is_filter(self) -> bool:
        """Whether it computes a statistic and leaves rows as they are; the limits are applied by a rows stage."""
        return self.stat is not None

    def read(self, parameters: Mapping[str, Any], where: str) -> _ModelParameters:
        """The parameters of a recipe, checked; ``where`` names file and operator in a :class:`UserError`."""
        return read_settings(dict(parameters), self.parameters, where)

    def scoring(self, parameters: _ModelParameters) -> dict[str, Any]:
        """The parameters that the models stage needs: a filter's without those that only decide what is kept."""
        apart = {*self.limits, "any_or_all"} if self.is_filter else set()
        return parameters.model_dump(exclude=apart, exclude_defaults=True)

    def thresholds(self, parameters: _ModelParameters) -> dict[str, tuple[str, Threshold]]:
        """Each limit that is set, by the parameter's name: the statistic that it is about, and the threshold.

        A filter's are about the statistic that it computes itself, so they are wanted after the models stage;
        a mapper's (``below``) are about statistics that are there when it begins.
        """
        if not self.is_filter:
            below = getattr(parameters, "below", {})
            return {f"below.{stat}": (stat, threshold) for stat, threshold in below.items()}
        set_ones = ((name, getattr(parameters, name)) for name in self.limits)
        return {name: (self.stat, threshold) for name, threshold in set_ones if threshold is not None}


_SCORES: dict[str, Literal["min", "max"]] = {"min_score": "min", "max_score": "max"}

MODEL_OPERATORS: dict[str, ModelOperator] = {
    "image_text_similarity_filter": ModelOperator(
        SimilarityParameters, {"hf_clip": "clip"}, "image_text_similarity", _SCORES
    ),
    "image_text_matching_filter": ModelOperator(
        MatchingParameters, {"hf_blip": "blip"}, "image_text_matching_score", _SCORES
    ),
    "image_watermark_filter": ModelOperator(
        WatermarkParameters, {"hf_watermark_model": "classifier"}, "image_watermark_prob", {"prob_threshold": "max"}
    ),
    "image_nsfw_filter": ModelOperator(NsfwParameters, {"hf_nsfw_model": "classifier"}, "image_nsfw_score", _SCORES),
    "image_aesthetics_filter": ModelOperator(
        AestheticsParameters, {"hf_scorer_model": "aesthetics"}, "image_aesthetics_scores", _SCORES
    ),
    "recaption_mapper": ModelOperator(RecaptionParameters, {"model": "captioner", "keep_if_better": "clip"}),
}
"""By the name that a recipe gives it."""

Percentiles = Mapping[str, Mapping[str, float]]
"""What a first pass found: for each statistic its percentiles, ``{"image_text_similarity": {"25%": 0.28}}``."""


def in_numbers(stat: str, threshold: Threshold, percentiles: Percentiles) -> float:
    """A threshold as a number.

    Raises:
        UserError: it is a percentile that the first pass did not compute.
    """
    if not isinstance(threshold, str):
        return threshold
    try:
        return percentiles[stat][threshold]
    except KeyError as error:
        raise UserError(f"the percentile {threshold} of {stat} is not among those that were computed") from error
