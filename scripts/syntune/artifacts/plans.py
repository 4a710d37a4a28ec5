"""``plan.json``: what a config is predicted to take, and ``planned.json``: what one training is."""

from syntune.artifacts.schema import Artifact, Schema

PLANNED = "planned.json"
"""The name of a run's own prediction, written as it is cleared for training and kept beside its checkpoint."""


class PlannedRun(Artifact):
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
        measured_hours: at the pace of a training that ended: its own last one or, scaled by the formulas, another's.
        measured_on: the GPU of that training.
        measured_by: the run that it was of.
        not_measured: what of it was in none of the trainings that the formulas were held against.
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
    measured_by: str | None = None
    not_measured: list[str] = []
    unknown: str | None = None


class PlannedStage(Schema):
    """What a stage keeps.

    Attributes:
        stage: seed, synthesis, dataset, model, checkpoint, or work, which is kept until the checkpoint is there.
        name: of the seed, dataset, model or run.
        rows: None where there are none or nothing tells.
        bytes: on the disk; None where nothing tells.
        counted: whether it is made, so that both are counted; else they are estimated.
    """

    stage: str
    name: str
    rows: int | None
    bytes: int | None
    counted: bool


class PlannedJobs(Schema):
    """Jobs of a rule that would run for one reason."""

    rule: str
    number: int
    why: str


class Plan(Artifact):
    """The whole plan.

    Attributes:
        stages: what each keeps, in the order of the data.
        jobs: that would run now, in the order of the rules.
        jobs_unknown: why they could not be told; None where they could.
        runs: the trainings, in the config's order.
        gpu_hours: of all trainings, by the name of a GPU; without those of unknown length.
        costs: the same in the config's currency; None without a price.
    """

    stages: list[PlannedStage]
    jobs: list[PlannedJobs] = []
    jobs_unknown: str | None = None
    runs: list[PlannedRun]
    gpu_hours: dict[str, float]
    costs: dict[str, float] | None


class Foretold(Schema):
    """What was predicted of a training that ended: peak memory as it is recorded, and the time of its steps.

    Attributes:
        peak_gib: on each GPU.
        seconds: None on a GPU whose speed is not known.
    """

    peak_gib: float
    seconds: float | None
