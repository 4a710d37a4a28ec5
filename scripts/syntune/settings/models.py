"""Settings of a base model: its family and where its weights come from."""

from typing import Annotated, Literal

from pydantic import Field

from syntune.settings.strict import Name, Strict


class TinyModelSettings(Strict):
    """A tiny MGM with random weights and a tokenizer of its own: it trains within minutes on a CPU."""

    source: Literal["tiny"]
    tokenizer_dataset: Name = Field(description="dataset whose text the byte-level BPE tokenizer is trained on")
    vocab_size: int = Field(default=512, ge=300, le=65_536, description="size of the vocabulary, in tokens")
    hidden_size: int = Field(default=96, ge=16, multiple_of=16, description="width of the language model")
    num_hidden_layers: int = Field(default=3, ge=1, description="depth of the language model")
    seed: int = Field(default=0, description="seed of the random weights")


class LocalModelSettings(Strict):
    """A checkpoint in a local folder: safetensors, in this project's or the reference MGM's layout."""

    source: Literal["local"]
    family: Literal["mgm"] = Field(default="mgm", description="architecture")
    path: str = Field(description="the checkpoint's folder")


ModelSettings = Annotated[TinyModelSettings | LocalModelSettings, Field(discriminator="source")]
