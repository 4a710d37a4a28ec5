"""``plan.json``: what a config is predicted to take, written before any of it runs."""

from syntune.artifacts.schema import Artifact, Schema


class PlannedRun(Schema):
    """What a training is predicted to take.

    Attributes:
        run: its name.
        method: its method.
        rows: of its dataset; None where nothing tells.
        rows_counted: whether a manifest tells, so that rows and words are counted; else they are assumed.
        steps: optimizer steps.
        supervised_tokens: over all steps, estimated.
        parameters: by part; empty where the model's sizes are not known.
        trained_parameters: by part.
        memory_gib: on each GPU at the peak, by part.
        allocated_gib: what training will record as its peak.
        needed_gib: what the card must have.
        flops: of the training, vision left out.
        hours: by the name of a GPU: of the training, on the run's number of them.
        gpus: how many train it; 0: the CPU.
        measured_hours: at the speed that an earlier training of this run recorded, on the GPU that it names.
        measured_on: that GPU.
        unknown: what could not be told, and why; None where all could.
    """

    run: str
    method: str
    rows: int | None
    rows_counted: bool
    steps: int | None
    supervised_tokens: int | None
    parameters: dict[str, int] = {}
    trained_parameters: dict[str, int] = {}
    memory_gib: dict[str, float] = {}
    allocated_gib: float | None = None
    needed_gib: float | None = None
    flops: float | None = None
    hours: dict[str, float] = {}
    gpus: int
    measured_hours: float | None = None
    measured_on: str | None = None
    unknown: str | None = None


class PlannedData(Schema):
    """A dataset: its rows, where anything tells them, and the bytes of its shards, once they are made."""

    dataset: str
    rows: int | None
    counted: bool
    bytes: int | None


class Plan(Artifact):
    """The whole plan.

    Attributes:
        datasets: in the config's order.
        runs: the trainings, in the config's order.
        gpu_hours: of all trainings, by the name of a GPU; without those of unknown length.
        costs: the same in the config's currency; None without a price.
    """

    datasets: list[PlannedData]
    runs: list[PlannedRun]
    gpu_hours: dict[str, float]
    costs: dict[str, float] | None


class Foretold(Schema):
    """What the plan's formulas say of a finished training: peak memory as it is recorded, and the time of its steps.

    Attributes:
        peak_gib: on each GPU.
        seconds: None on a GPU whose speed is not known.
    """

    peak_gib: float
    seconds: float | None
