"""Settings of a run: a base or an earlier run, a dataset, a training method and its hyperparameters."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from syntune.settings.strict import Name, Strict


class LoraSettings(Strict):
    """Low-rank adaptation of the language model's linear layers (Hu et al., 2021)."""

    r: int = Field(default=16, ge=1, description="rank of the adapter")
    alpha: int = Field(default=32, ge=1, description="scale of the adapter: its output is multiplied by alpha / r")
    dropout: float = Field(default=0.1, ge=0, lt=1, description="dropout on the adapter's input, a probability")


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
        default=1.0, gt=0, description="how far, in nats, the first loss may lie above ln(vocabulary)"
    )
    max_loss_rise: float = Field(
        default=3.0, gt=0, description="how far, in nats, a step's loss may lie above the median of the steps before it"
    )
    max_grad_norm_factor: float = Field(
        default=100.0, gt=1, description="how many times the median of the steps before it a gradient norm may be"
    )


class TrainedRunSettings(Strict):
    """A run that trains."""

    method: Literal["lora", "full"] = Field(
        description="lora: an adapter on the language model, with the projector trained beside it; full: every weight"
    )
    start: Name = Field(description="the model, or the earlier run, that training starts from")
    dataset: Name = Field(description="the dataset that it is trained on")
    lora: LoraSettings = Field(default_factory=LoraSettings, description="the adapter, for method lora")
    optimizer: OptimizerSettings = Field(default_factory=OptimizerSettings, description="AdamW and its schedule")
    health: HealthSettings = Field(default_factory=HealthSettings, description="when the run is stopped")
    train_vision: bool = Field(default=False, description="train the vision towers too (method full only)")
    global_batch_size: int = Field(default=128, ge=1, description="rows per optimizer step, over all ranks")
    micro_batch_size: int = Field(default=1, ge=1, description="rows per forward pass")
    epochs: float = Field(default=1.0, gt=0, description="passes over the dataset")
    max_steps: int | None = Field(default=None, ge=1, description="stop after this many optimizer steps; null: epochs")
    max_length: int = Field(default=2048, ge=16, description="longest row, in tokens, image tokens included")
    precision: Literal["bf16", "fp32"] = Field(default="bf16", description="arithmetic of the forward pass")
    gradient_checkpointing: bool = Field(default=False, description="recompute activations to save memory")
    save_steps: int = Field(default=50, ge=1, description="optimizer steps between checkpoints of the work folder")
    seed: int = Field(default=42, description="seed of the row order, the adapter's weights and dropout")
    gpus: int = Field(default=1, ge=0, le=1, description="GPUs for training and prediction; 0 uses the CPU")
    threads: int = Field(default=2, ge=1, description="CPU threads; on a CPU the arithmetic depends on it")
    cuda_kernels: bool = Field(
        default=False, description="train in envs/train-cuda.yaml, which holds flash-attn and liger-kernel"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "TrainedRunSettings":
        if self.global_batch_size % self.micro_batch_size:
            raise ValueError(
                f"global_batch_size {self.global_batch_size} is not a multiple of micro_batch_size "
                f"{self.micro_batch_size}"
            )
        if self.train_vision and self.method != "full":
            raise ValueError("train_vision needs method: full")
        if self.cuda_kernels and not self.gpus:
            raise ValueError("cuda_kernels needs a GPU: set gpus: 1")
        return self


class BaseRunSettings(Strict):
    """A run that does not train: it answers with the model, or the earlier run, as it is."""

    method: Literal["none"]
    start: Name = Field(description="the model, or the earlier run, that answers")
    gpus: int = Field(default=1, ge=0, le=1, description="GPUs for prediction; 0 uses the CPU")
    threads: int = Field(default=2, ge=1, description="CPU threads")


RunSettings = Annotated[TrainedRunSettings | BaseRunSettings, Field(discriminator="method")]
