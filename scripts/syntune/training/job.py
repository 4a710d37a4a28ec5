"""A training job, as a rule's script describes it."""

from dataclasses import dataclass
from pathlib import Path

from syntune.settings.runs import TrainedRunSettings


@dataclass(frozen=True)
class Job:
    """What a training job is given, and where it writes.

    Attributes:
        run: the run's name.
        settings: the run's.
        dataset: manifest of the shards.
        holdout: manifest of what the dataset holds out; None where the run has no validation.
        starts: the folders that the run starts from: a full checkpoint, then adapters.
        start_manifests: their manifests.
        work: folder of work folders.
        checkpoint: folder to write.
        manifest: manifest to write.
        stage: the rule's name.
        rehearses: the run's own settings, where ``settings`` are those of a rehearsal; None trains the run.
        tracker: folder of W&B's runs; None where none is kept.
        rehearsed_steps: optimizer steps to train instead of the run's own, each with the rows of its heaviest; None
            trains those of ``settings``.
    """

    run: str
    settings: TrainedRunSettings
    dataset: Path
    starts: list[Path]
    start_manifests: list[Path]
    work: Path
    checkpoint: Path
    manifest: Path
    holdout: Path | None = None
    stage: str = "train"
    rehearses: TrainedRunSettings | None = None
    tracker: Path | None = None
    rehearsed_steps: int | None = None
