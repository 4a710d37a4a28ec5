"""Settings of a model: where its weights come from, or the endpoint that answers for it."""

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from syntune.settings.strict import Name, Strict

Weights = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
"""A local file or folder or, as ``owner/name@commit``, a repository of the Hugging Face hub at a full commit hash."""

Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]

_HUB = re.compile(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})")

_OR_HUB = "a local path, or owner/name@commit on the Hugging Face hub"


def hub_address(weights: str) -> tuple[str, str] | None:
    """Repository and commit of ``weights``; None if it is a local path."""
    found = _HUB.fullmatch(weights)
    return (found[1], found[2]) if found else None


class WeightSource(Strict):
    """Where weights come from."""

    def weights(self) -> dict[str, str]:
        """The keys that name weights, and what they name."""
        return {}

    def paths(self) -> dict[str, str]:
        """The keys that name a local file or folder, and its path."""
        return {key: value for key, value in self.weights().items() if hub_address(value) is None}


class TinyModelSettings(WeightSource):
    """A tiny MGM with random weights and a tokenizer of its own: it trains within minutes on a CPU."""

    source: Literal["tiny"]
    tokenizer_dataset: Name = Field(description="dataset whose text the byte-level BPE tokenizer is trained on")
    vocab_size: int = Field(
        default=512, ge=300, le=65_536, description="most tokens of the vocabulary; little text may fill fewer"
    )
    hidden_size: int = Field(default=96, ge=16, multiple_of=16, description="width of the language model")
    num_hidden_layers: int = Field(default=3, ge=1, description="depth of the language model")
    random_seed: int = Field(default=0, description="seed of the random weights")


class Checkpoint(WeightSource):
    """A checkpoint; a reference MGM's may lack its vision towers."""

    vision_tower: Weights | None = Field(
        default=None,
        description="for a reference MGM without its CLIP, or with another than ViT-L/14 at 336 pixels: CLIP in "
        f"transformers' layout; {_OR_HUB}",
    )
    vision_tower_aux: Weights | None = Field(
        default=None, description=f"for a reference MGM without its ConvNeXt: OpenCLIP's checkpoint; {_OR_HUB}"
    )

    def weights(self) -> dict[str, str]:
        """The keys that name weights, and what they name."""
        named = {"vision_tower": self.vision_tower, "vision_tower_aux": self.vision_tower_aux}
        return {key: value for key, value in named.items() if value}


class LocalModelSettings(Checkpoint):
    """A checkpoint in a local folder: this project's, a reference MGM, or an image-text model of transformers."""

    source: Literal["local"]
    path: str = Field(description="the checkpoint's folder; its config.json says what it is")

    def paths(self) -> dict[str, str]:
        """The keys that name a local file or folder, and its path."""
        return {"path": self.path, **super().paths()}


class HubModelSettings(Checkpoint):
    """A checkpoint on the Hugging Face hub, pinned."""

    source: Literal["hub"]
    repo: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")] = Field(description="repository, owner/name")
    revision: Commit = Field(description="commit, as its 40 hexadecimal digits: a branch or a tag can move")


class PartsModelSettings(WeightSource):
    """An MGM put together from its published parts, before any training of its own."""

    source: Literal["parts"]
    language_model: Weights = Field(description=f"Gemma with its tokenizer; {_OR_HUB}")
    vision_tower: Weights = Field(description=f"OpenAI's CLIP in transformers' layout; {_OR_HUB}")
    vision_tower_aux: Weights = Field(description=f"OpenCLIP's ConvNeXt, its file or folder; {_OR_HUB}")
    projector: Weights | None = Field(
        default=None,
        description="the reference's mm_projector.bin of a first stage; null: a random connector, to be aligned by a "
        f"run; {_OR_HUB}",
    )
    random_seed: int = Field(default=0, description="seed of a random connector")
    dtype: Literal["bfloat16", "float16", "float32"] = Field(default="bfloat16", description="type of the weights")
    image_size_aux: int = Field(default=768, ge=32, description="side of the high-resolution image, in pixels")
    image_aspect_ratio: Literal["pad", "square"] = Field(
        default="pad", description="pad: an image is padded to a square; square: its middle is cropped"
    )
    hidden_act: Literal["gelu_pytorch_tanh", "gelu"] = Field(
        default="gelu_pytorch_tanh",
        description="GELU of the language model: Gemma's own approximation, or gelu, the exact one that the reference "
        "MGM was trained with",
    )

    def weights(self) -> dict[str, str]:
        """The keys that name weights, and what they name."""
        keys = ("language_model", "vision_tower", "vision_tower_aux", "projector")
        return {key: getattr(self, key) for key in keys if getattr(self, key)}


class AdapterModelSettings(WeightSource):
    """A LoRA adapter that was trained elsewhere, merged into its base: the reference MGM's layout or PEFT's."""

    source: Literal["adapter"]
    base: Name = Field(description="the model that it is merged into")
    path: Weights = Field(description=f"the adapter's folder; {_OR_HUB}")

    def weights(self) -> dict[str, str]:
        """The keys that name weights, and what they name."""
        return {"path": self.path}


class ScorerSettings(WeightSource):
    """A model that scores images, or images and texts, for recipes: CLIP, BLIP or a classifier of transformers."""

    source: Literal["scorer"]
    path: Weights = Field(description=f"the checkpoint's folder; {_OR_HUB}")

    def weights(self) -> dict[str, str]:
        """The keys that name weights, and what they name."""
        return {"path": self.path}


class EndpointSettings(WeightSource):
    """A model behind an OpenAI-compatible endpoint for chat completions; recipes may ask it for captions."""

    source: Literal["endpoint"]
    base_url: str = Field(
        pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
        description="address up to the version, such as https://api.example.com/v1; /chat/completions is added",
    )
    model: str = Field(min_length=1, description="the model's name there")
    key_variable: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="environment variable that holds the key; the key itself is never written anywhere. null: no key",
    )
    concurrency: int = Field(default=4, ge=1, le=256, description="requests at a time, of each job")
    timeout_s: float = Field(default=60, gt=0, description="seconds until an unanswered request counts as failed")
    retries: int = Field(
        default=5, ge=0, le=20, description="further tries after a time-out, a 429 or an error of the server"
    )
    price_per_million_input_tokens: float = Field(default=0, ge=0, description="price, in any one currency")
    price_per_million_output_tokens: float = Field(default=0, ge=0, description="price, in the same currency")
    max_image_side: int = Field(
        default=1024, ge=32, description="an image's longest side as it is sent, in pixels; a larger one is shrunk"
    )

    @field_validator("base_url")
    @classmethod
    def _without_last_slash(cls, url: str) -> str:
        return url.rstrip("/")

    def cost_of(self, input_tokens: int, output_tokens: int) -> float:
        """What so many tokens cost, in the currency of the prices."""
        inputs = input_tokens * self.price_per_million_input_tokens
        return (inputs + output_tokens * self.price_per_million_output_tokens) / 1e6


ModelSettings = Annotated[
    TinyModelSettings
    | LocalModelSettings
    | HubModelSettings
    | PartsModelSettings
    | AdapterModelSettings
    | ScorerSettings
    | EndpointSettings,
    Field(discriminator="source"),
]

HELPERS = (ScorerSettings, EndpointSettings)
"""Models that recipes use and no run can start from."""
