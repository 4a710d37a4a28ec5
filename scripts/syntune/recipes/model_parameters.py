"""The recipe's operators that need a model: their parameters, the statistic that each computes and its limits.

Names and parameters are Data-Juicer's where it has the operator. Three things differ: a parameter that names a model
holds a name from the config's ``models``, a limit that is left out limits nothing, and a limit may be a percentile of
the rows that reach the operator, as text: ``"25%"``.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, StringConstraints, model_validator

from syntune.errors import UserError
from syntune.settings.models import ModelSettings, ScorerSettings
from syntune.settings.reading import read_settings
from syntune.settings.strict import Name, Strict

Percentile = Annotated[str, StringConstraints(pattern=r"^(100(\.0+)?|\d{1,2}(\.\d+)?)%$")]
Threshold = float | Percentile
"""A number, or a percentile of the statistic over all rows that reach the operator."""

Stat = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]

_LOW = "lowest value that is kept; a number, a percentile such as 25%, or null"
_HIGH = "highest value that is kept; a number, a percentile such as 75%, or null"


ModelKind = Literal["clip", "blip", "classifier", "aesthetics", "captioner"]
"""What a parameter wants of the model that it names."""


class ModelParameters(Strict):
    """Parameters of an operator that runs a model."""

    stat: ClassVar[str | None] = None
    """The statistic that a filter computes: a list of numbers for each row, one for each text with images or one for
    each image, none without an image; None for a mapper."""
    thresholds: ClassVar[dict[str, Literal["min", "max"]]] = {}
    """A filter's limits: whether each is the lowest or the highest value that is kept, both inclusive. The models stage
    only computes the statistic; a rows stage applies them. A row without a value is kept."""
    deciding: ClassVar[tuple[str, ...]] = ()
    """Further parameters that the models stage does not need: how the limits are applied."""
    models: ClassVar[dict[str, ModelKind]] = {}
    """The parameters that name a model of the config, and what each must be."""

    trust_remote_code: Literal[False] = Field(
        default=False, description="a model's own code is never run: only false is taken"
    )
    batch_size: int = Field(default=16, ge=1, description="images or texts that the model sees at a time")

    def named_models(self) -> dict[str, str]:
        """The models that are named, by parameter."""
        named = {parameter: getattr(self, parameter) for parameter in self.models}
        return {parameter: name for parameter, name in named.items() if name is not None}

    def for_scoring(self) -> dict[str, Any]:
        """The parameters that the models stage needs: without those that only decide what is kept."""
        return self.model_dump(exclude={*self.thresholds, *self.deciding}, exclude_defaults=True)

    def limits(self) -> dict[str, tuple[str, Threshold]]:
        """Each limit that is set, by its parameter: the statistic that it is about, and the threshold.

        A filter's are about the statistic that it computes itself, so they are wanted after the models stage. A
        mapper's (``below.STAT``) are about statistics that are there when it begins.
        """
        set_ones = ((name, getattr(self, name)) for name in self.thresholds)
        return {name: (self.stat, threshold) for name, threshold in set_ones if threshold is not None}


class _FilterParameters(ModelParameters):
    """What every filter has."""

    deciding = ("any_or_all",)

    any_or_all: Literal["any", "all"] = Field(
        default="any", description="keep a row if any of its values lies within the limits, or only if all do"
    )


class _PairFilterParameters(_FilterParameters):
    """A filter by a score of image and text."""

    thresholds = {"min_score": "min", "max_score": "max"}

    min_score: Threshold | None = Field(default=None, description=_LOW)
    max_score: Threshold | None = Field(default=None, description=_HIGH)
    horizontal_flip: bool = Field(default=False, description="mirror the image, left to right, before it is scored")
    vertical_flip: bool = Field(default=False, description="turn the image upside down before it is scored")
    reduce_mode: Literal["avg", "max", "min"] = Field(
        default="avg", description="the score of a text with several images: mean, highest or lowest"
    )


class SimilarityParameters(_PairFilterParameters):
    """``image_text_similarity_filter``: cosine of CLIP's embeddings of image and text, -1 to 1."""

    stat = "image_text_similarity"
    models = {"hf_clip": "clip"}

    hf_clip: Name = Field(description="a CLIP of the config's models")


class MatchingParameters(_PairFilterParameters):
    """``image_text_matching_filter``: BLIP's probability that image and text belong together, 0 to 1."""

    stat = "image_text_matching_score"
    models = {"hf_blip": "blip"}

    hf_blip: Name = Field(description="a BLIP for image-text retrieval of the config's models")


class WatermarkParameters(_FilterParameters):
    """``image_watermark_filter``: a classifier's probability of its class 1, a watermark."""

    stat = "image_watermark_prob"
    thresholds = {"prob_threshold": "max"}
    models = {"hf_watermark_model": "classifier"}

    hf_watermark_model: Name = Field(description="an image classifier of the config's models; class 1: a watermark")
    prob_threshold: Threshold | None = Field(default=None, description=_HIGH)


class NsfwParameters(_FilterParameters):
    """``image_nsfw_filter``: a classifier's probability of its class 1, not safe for work."""

    stat = "image_nsfw_score"
    thresholds = {"min_score": "min", "max_score": "max"}
    models = {"hf_nsfw_model": "classifier"}

    hf_nsfw_model: Name = Field(description="an image classifier of the config's models; class 1: not safe for work")
    min_score: Threshold | None = Field(default=None, description=_LOW)
    max_score: Threshold | None = Field(default=None, description=_HIGH)


class AestheticsParameters(_FilterParameters):
    """``image_aesthetics_filter``: a regression's score of beauty, 0 to 1."""

    stat = "image_aesthetics_scores"
    thresholds = {"min_score": "min", "max_score": "max"}
    models = {"hf_scorer_model": "aesthetics"}

    hf_scorer_model: Name = Field(description="an aesthetics predictor of the config's models")
    min_score: Threshold | None = Field(default=None, description=_LOW)
    max_score: Threshold | None = Field(default=None, description=_HIGH)


Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]


class RecaptionParameters(ModelParameters):
    """``recaption_mapper``: a model writes a new caption for a row of one image; the text is replaced by it."""

    models = {"model": "captioner", "keep_if_better": "clip"}

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

    def limits(self) -> dict[str, tuple[str, Threshold]]:
        """``below.STAT`` and its threshold, for each statistic that ``below`` names."""
        return {f"below.{stat}": (stat, threshold) for stat, threshold in self.below.items()}


MODEL_OPERATORS: dict[str, type[ModelParameters]] = {
    "image_text_similarity_filter": SimilarityParameters,
    "image_text_matching_filter": MatchingParameters,
    "image_watermark_filter": WatermarkParameters,
    "image_nsfw_filter": NsfwParameters,
    "image_aesthetics_filter": AestheticsParameters,
    "recaption_mapper": RecaptionParameters,
}
"""By the name that a recipe gives it."""


def read_model_operator(name: str, parameters: Mapping[str, Any], where: str) -> ModelParameters:
    """The parameters of one of :data:`MODEL_OPERATORS`, checked; ``where`` names file and operator in an error.

    Raises:
        UserError: a parameter is unknown, missing or wrong.
    """
    return read_settings(dict(parameters), MODEL_OPERATORS[name], where)


def check_models(
    process: Iterable[tuple[str, Mapping[str, Any]]], models: Mapping[str, ModelSettings], source: str
) -> None:
    """Refuse a recipe that names a model that the config has not, or one of another kind than the operator needs.

    Args:
        process: the recipe's operators, name and parameters; those that need no model are passed over.
        models: the config's models.
        source: the recipe's file.

    Raises:
        UserError: naming file, operator, parameter and the key to add.
    """
    for name, parameters in process:
        if name not in MODEL_OPERATORS:
            continue
        where = f"{source}: process: {name}"
        read = read_model_operator(name, parameters, where)
        for parameter, model in read.named_models().items():
            kind = read.models[parameter]
            if model not in models:
                raise UserError(f"{where}: {parameter}: the config has no model '{model}'; add {_advice(model, kind)}")
            is_scorer = isinstance(models[model], ScorerSettings)
            if is_scorer != (kind != "captioner"):
                raise UserError(
                    f"{where}: {parameter}: models.{model} has source: {models[model].source}, but here it must be "
                    f"{_advice(model, kind)}"
                )


def _advice(model: str, kind: ModelKind) -> str:
    """The key that a config needs for a model of a kind."""
    if kind == "captioner":
        return f"models.{model} with source: local, hub or parts for weights, or source: endpoint"
    return f"models.{model} with source: scorer and path: the folder of {_WANTED[kind]}"


_WANTED: dict[ModelKind, str] = {
    "clip": "a CLIP",
    "blip": "a BLIP for image-text retrieval",
    "classifier": "an image classifier",
    "aesthetics": "an aesthetics predictor",
}
