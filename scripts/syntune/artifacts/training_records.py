"""What a training run leaves for the report: ``summary.json``, and ``metrics.jsonl`` with a line for each step.

A field that a run did not record is None, and the report says so.
"""

from typing import Any

from syntune.artifacts.schema import Artifact, Schema


class StepMetrics(Artifact):
    """A line of ``metrics.jsonl``: one optimizer step.

    Attributes:
        step: counted from 1.
        epoch: passes over the rows so far.
        loss: mean over the step's supervised tokens, in nats.
        grad_norm: the gradient's norm before clipping.
        learning_rate: what the step was taken with.
        samples: rows.
        tokens: tokens of these rows, images included.
        supervised_tokens: those of them that the loss is of.
        seconds: the step's time.
        samples_per_second: rows a second.
        tokens_per_second: tokens a second.
        memory_gib: the peak so far.
        mfu: model FLOPs utilization, a share of 1; left out where the device's speed is not known.
        validation_loss: of the held-out rows after the step, where it was computed.
    """

    step: int
    epoch: float | None = None
    loss: float | None = None
    grad_norm: float | None = None
    learning_rate: float | None = None
    samples: int | None = None
    tokens: int | None = None
    supervised_tokens: int | None = None
    seconds: float | None = None
    samples_per_second: float | None = None
    tokens_per_second: float | None = None
    memory_gib: float | None = None
    mfu: float | None = None
    validation_loss: float | None = None


class ValidationLoss(Artifact):
    """A line of ``validation.jsonl`` in the work folder: the loss of the held-out rows after a step.

    Attributes:
        step: counted from 1; 0 is before the first.
        loss: in nats a supervised token.
    """

    step: int
    loss: float


class Validation(Schema):
    """The validation of a run.

    Attributes:
        rows: held-out rows.
        supervised_tokens: that the losses are of.
        losses: in the order of the steps.
        best_step: the step after which the loss was lowest, the first of several.
        best_loss: that loss.
        stopped_early: whether the run ended because the loss fell no more.
    """

    rows: int
    supervised_tokens: int
    losses: list[ValidationLoss]
    best_step: int
    best_loss: float
    stopped_early: bool


class HealthCheck(Schema):
    """A health check of a run: its name, ``ok``, ``warning`` or ``failed``, and what was seen."""

    name: str
    status: str
    detail: str = ""


class ParameterCounts(Schema):
    """Numbers of parameters: of the model, of what is trained, of LoRA, and of what is trained beside LoRA."""

    total: int | None = None
    trainable: int | None = None
    lora: int | None = None
    beside_lora: int | None = None


class PeakMemory(Schema):
    """Peak memory in GiB, and what was measured."""

    peak_gib: float | None = None
    kind: str | None = None


class TrainingSummary(Artifact):
    """``summary.json``: every figure that an analysis of a run needs.

    Attributes:
        run: the run's name.
        method: its method.
        steps: optimizer steps.
        epochs: passes over the rows.
        rows: rows trained on.
        rows_left_over: rows that no step took.
        masked_rows: rows dropped because no supervised token is left.
        rows_cut: rows cut at ``max_length``.
        samples: rows seen, repeats counted.
        tokens: tokens of these.
        supervised_tokens: those of them that the loss is of.
        seconds: in optimizer steps, over all attempts.
        wall_seconds_of_last_attempt: of the last attempt's training.
        samples_per_second: mean over all steps.
        tokens_per_second: mean over all steps.
        mfu: model FLOPs utilization, the median over the steps.
        first_loss: the first step's loss, in nats a supervised token.
        final_loss: the last step's.
        mean_loss: the mean over the steps.
        parameters: their numbers.
        memory: the peak.
        device: its name.
        ranks: processes.
        precision: of the arithmetic.
        attention: the implementation's name.
        micro_batches: per rank and step.
        zero: the settings of ZeRO; None without.
        validation: the losses of held-out rows; None without.
        verdicts: of the health checks.
        learned: ``ok``, ``failed`` or, where that cannot be told, ``warning``.
        healthy: whether no check failed.
        hyperparameters: the run's settings.
        resumed_from: the step that the last attempt went on from; None if it started afresh.
    """

    run: str
    method: str | None = None
    steps: int | None = None
    epochs: float | None = None
    rows: int | None = None
    rows_left_over: int | None = None
    masked_rows: int | None = None
    rows_cut: int | None = None
    samples: int | None = None
    tokens: int | None = None
    supervised_tokens: int | None = None
    seconds: float | None = None
    wall_seconds_of_last_attempt: float | None = None
    samples_per_second: float | None = None
    tokens_per_second: float | None = None
    mfu: float | None = None
    first_loss: float | None = None
    final_loss: float | None = None
    mean_loss: float | None = None
    parameters: ParameterCounts = ParameterCounts()
    memory: PeakMemory = PeakMemory()
    device: str | None = None
    ranks: int | None = None
    precision: str | None = None
    attention: str | None = None
    micro_batches: int | None = None
    zero: dict[str, Any] | None = None
    validation: Validation | None = None
    verdicts: list[HealthCheck] = []
    learned: str | None = None
    healthy: bool | None = None
    hyperparameters: dict[str, Any] = {}
    resumed_from: int | None = None
