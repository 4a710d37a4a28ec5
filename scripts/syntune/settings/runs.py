"""Settings of a run: a base or an earlier run, a dataset, a training method and its hyperparameters."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from syntune.settings.methods import METHODS
from syntune.settings.pixels import PixelSettings
from syntune.settings.strict import Name, Strict, is_unset

NOT_IN_RESULT = {"save_steps", "keep_checkpoints", "keep_finished", "workers", "timeout"}
"""Settings of a run that change no byte of its checkpoint."""

LAYOUT = {"gpus", "zero"}
"""Settings that spread a run's work over GPUs: the checkpoint depends on them by rounding alone."""


def is_bf16(value: str) -> bool:
    """For ``exclude_if``, as :func:`syntune.settings.strict.is_unset`."""
    return value == "bf16"


class LoraSettings(Strict):
    """Low-rank adaptation of the language model's linear layers (Hu et al., 2021)."""

    r: int = Field(default=16, ge=1, description="rank of the adapter")
    alpha: int = Field(default=32, ge=1, description="scale of the adapter: its output is multiplied by alpha / r")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout on the adapter's input, a probability")
    bias: Literal["none", "lora_only"] = Field(
        default="none", description="lora_only trains the biases of the adapted linears too"
    )
    targets: str | None = Field(
        default=None,
        description="regular expression of the linears that get an adapter, their whole names; null takes the language "
        "model's, without the output layer",
    )
    train_connector: bool = Field(
        default=True,
        description="train the connector between vision and language (projector, mining) beside the adapter",
    )

    @field_validator("targets")
    @classmethod
    def _pattern(cls, targets: str | None) -> str | None:
        try:
            re.compile(targets or "")
        except re.error as error:
            raise ValueError(f"{targets!r} is no regular expression: {error}") from error
        return targets


class ZeroSettings(Strict):
    """DeepSpeed ZeRO (Rajbhandari et al., 2020): what GPUs share, and what they keep in the computer's memory."""

    stage: Literal[0, 2, 3] = Field(
        default=3, description="0 shares nothing, 2 optimizer state and gradients, 3 the parameters too"
    )
    offload: bool = Field(
        default=False, description="keep the optimizer's state (stage 3: the parameters too) in the computer's memory"
    )


class OptimizerSettings(Strict):
    """AdamW and its schedule."""

    learning_rate: float = Field(default=2e-5, gt=0, description="peak learning rate")
    scheduler: Literal["cosine", "linear", "constant_with_warmup"] = Field(
        default="cosine", description="course of the learning rate after warm-up"
    )
    warmup_ratio: float = Field(default=0.03, ge=0, lt=1, description="share of the steps spent warming up")
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW's weight decay")
    max_grad_norm: float = Field(default=1.0, gt=0, description="gradients are clipped to this norm")


class HealthSettings(Strict):
    """When a run is stopped rather than called healthy."""

    max_masked_share: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="largest share of rows without a supervised token; such rows are dropped "
        "and counted, never averaged in",
    )
    first_loss_margin: float = Field(
        default=1.0,
        gt=0,
        description="how far, in nats, a loss, the first or a later one, may lie above ln(vocabulary)",
    )
    max_loss_rise: float = Field(
        default=3.0, gt=0, description="how far, in nats, a step's loss may lie above the median of the steps before it"
    )
    max_grad_norm_factor: float = Field(
        default=100.0, gt=1, description="how many times the median of the steps before it a gradient norm may be"
    )


class EarlyStopSettings(Strict):
    """When a run ends before its last step."""

    patience: int = Field(
        ge=1, description="validation losses in a row that are not below the lowest so far, after which the run ends"
    )


class TrainedRunSettings(PixelSettings):
    """A run that trains."""

    method: Literal["lora", "qlora", "full", "align"] = Field(
        description="lora: an adapter on the language model; qlora: the same on a base held in 4 bits; full: every "
        "weight of the language model and the connector; align: the connector alone (stage 1)"
    )
    start: Name = Field(description="the model, or the earlier run, that training starts from")
    dataset: Name = Field(description="the dataset that it is trained on")
    lora: LoraSettings = Field(default_factory=LoraSettings, description="the adapter, for methods lora and qlora")
    optimizer: OptimizerSettings = Field(default_factory=OptimizerSettings, description="AdamW and its schedule")
    health: HealthSettings = Field(default_factory=HealthSettings, description="when the run is stopped")
    train_vision: bool = Field(default=False, description="train the vision towers too (method full only)")
    global_batch_size: int = Field(default=128, ge=1, description="rows per optimizer step, over all GPUs")
    micro_batch_tokens: int = Field(
        default=8192,
        ge=16,
        description="tokens per forward pass and GPU, image tokens included: what memory allows; rows are packed up "
        "to it and the result does not depend on it but for rounding",
    )
    epochs: float = Field(default=1.0, gt=0, description="passes over the dataset")
    max_steps: int | None = Field(default=None, ge=1, description="stop after this many optimizer steps; null: epochs")
    max_length: int = Field(default=2048, ge=16, description="longest row, in tokens, image tokens included")
    too_long: Literal["truncate", "drop", "refuse"] = Field(
        default="truncate",
        description="a row above max_length: cut its text at the end (never image tokens), drop it, or stop; counted",
    )
    precision: Literal["bf16", "fp32"] = Field(default="bf16", description="arithmetic of the forward pass")
    base_precision: Literal["bf16", "fp8", "int8"] = Field(
        default="bf16",
        exclude_if=is_bf16,
        description="in which the products with the frozen base's wide linears are made (methods lora and align): fp8 "
        "on GPUs from the 4090, L40S and H100 on, int8 from the 3090 and A100 on. The adapter is trained on a rounded "
        "base, and answers on the one in bf16",
    )
    attention: Literal["auto", "flash-attn", "torch-varlen", "sdpa", "eager"] = Field(
        default="auto", description="implementation of attention; auto takes the fastest that works here"
    )
    gradient_checkpointing: bool = Field(default=False, description="recompute activations to save memory")
    zero: ZeroSettings | None = Field(
        default=None, description="train under DeepSpeed ZeRO; null trains without DeepSpeed"
    )
    eval_steps: int | None = Field(
        default=None,
        ge=1,
        exclude_if=is_unset,
        description="optimizer steps from one validation loss to the next, over what the dataset holds out (holdout), "
        "without dropout; also before the first step and after the last. null: none",
    )
    early_stop: EarlyStopSettings | None = Field(
        default=None,
        exclude_if=is_unset,
        description="end the run when validation loss falls no more; needs eval_steps",
    )
    save_steps: int = Field(default=50, ge=1, description="optimizer steps between checkpoints of the work folder")
    keep_checkpoints: int = Field(default=2, ge=1, description="checkpoints that the work folder keeps, the newest")
    keep_finished: int = Field(
        default=2,
        ge=0,
        description="finished checkpoints that are kept for trainings that turn out equal to them, the newest; the "
        "present one is among them and takes no further space (hard links). With 0, an edit upstream that changes no "
        "byte trains again",
    )
    random_seed: int = Field(
        default=42,
        ge=0,
        le=2**31 - 1,
        description="seed of the row order, the adapter's weights and dropout",
    )
    replicates: int = Field(
        default=1,
        ge=1,
        le=99,
        exclude=True,  # of the plan alone: each training is a run of its own there, and none depends on their number
        description="trainings of this run under as many seeds: random_seed, random_seed + 1 and so on. Data and "
        "rehearsal are shared; NAME-2, NAME-3 and so on are the further trainings' names in paths. One training cannot "
        "tell two datasets apart: take 3 to compare",
    )
    gpus: int = Field(default=1, ge=0, le=64, description="GPUs of one machine for training; 0 uses the CPU")
    threads: int = Field(default=2, ge=1, description="CPU threads; on a CPU the arithmetic depends on it")
    workers: int = Field(default=4, ge=0, description="processes that decode images ahead of training; 0: none")
    timeout: int = Field(default=30, ge=1, description="minutes that a GPU waits for the others before the run stops")
    cuda_kernels: bool = Field(default=False, description="train in envs/train-cuda.yaml, which holds flash-attn")

    @property
    def environment(self) -> str:
        """The env spec that the run is trained in."""
        return "train-cuda" if self.cuda_kernels else "train"

    @model_validator(mode="after")
    def _consistent(self) -> "TrainedRunSettings":
        method = METHODS[self.method]
        if self.train_vision and method.writes != "model":
            raise ValueError("train_vision needs method: full")
        if self.cuda_kernels and not self.gpus:
            raise ValueError("cuda_kernels needs a GPU: set gpus: 1")
        if self.gpus > 1 and self.global_batch_size < self.gpus:
            raise ValueError(
                f"global_batch_size {self.global_batch_size} leaves some of {self.gpus} GPUs without a row"
            )
        if self.base_precision != "bf16":
            if self.method not in ("lora", "align"):
                raise ValueError(
                    f"base_precision: {self.base_precision} needs a base that is frozen and in bf16: method lora or "
                    f"align, not {self.method}"
                )
            if not self.gpus or self.precision != "bf16":
                raise ValueError(
                    f"base_precision: {self.base_precision} needs a GPU and precision: bf16; set gpus: 1, or "
                    "base_precision: bf16"
                )
        if self.early_stop and not self.eval_steps:
            raise ValueError("early_stop needs a validation loss: set eval_steps")
        if self.micro_batch_tokens < self.max_length:
            raise ValueError(
                f"micro_batch_tokens {self.micro_batch_tokens} cannot hold a row of max_length {self.max_length}"
            )
        if method.quantized and self.zero and self.zero.stage == 3:
            raise ValueError("qlora's 4-bit weights cannot be shared by zero stage 3; take stage 2 or null")
        if self.train_vision and self.zero and self.zero.stage == 3:  # whose layers begin at images, without a gradient
            raise ValueError("train_vision: vision towers cannot be trained under zero stage 3; take stage 2 or null")
        return self


class BaseRunSettings(PixelSettings):
    """A run that does not train: it answers with the model, or the earlier run, as it is."""

    method: Literal["none"]
    start: Name = Field(description="the model, or the earlier run, that answers")
    gpus: int = Field(default=1, ge=0, le=1, description="GPUs for prediction; 0 uses the CPU")
    threads: int = Field(default=2, ge=1, description="CPU threads")


RunSettings = Annotated[TrainedRunSettings | BaseRunSettings, Field(discriminator="method")]
