"""The fingerprint of a training: all that its checkpoint depends on, as one hash.

It names the work folder that a failed job goes on from, the finished checkpoint that an equal training takes, and
what a clearance for training vouches for. It is the same wherever it is computed: in a job, or in the workflow's plan.
"""

from collections.abc import Sequence

from syntune.artifacts.manifests import Manifest
from syntune.files import canonical_json, sha256_bytes
from syntune.interpreter import spec_digest
from syntune.settings.runs import LAYOUT, NOT_IN_RESULT, TrainedRunSettings
from syntune.sources import code_digest

TRAINING = "syntune/training/run"
"""The module whose code counts: what a rehearsal and a training have in common. Their commands train nothing."""


def data_content(settings: TrainedRunSettings, dataset: Manifest) -> str:
    """What a run depends on of its dataset: its content and, for validation losses, that of what it holds out."""
    if settings.eval_steps is None:
        return dataset.content
    held_out = dataset.inputs.get(f"holdout.{dataset.name}")
    return sha256_bytes(f"{dataset.content} {held_out}".encode())


def training_fingerprint(settings: TrainedRunSettings, dataset: str, starts: Sequence[str], layout: bool = True) -> str:
    """Settings, content of data and starts, code and environment, as 32 hexadecimal digits.

    Args:
        settings: the run's.
        dataset: :func:`data_content` of the dataset.
        starts: content hashes of the checkpoints that the run starts from, in order.
        layout: whether the GPUs and what they share count. A finished checkpoint depends on them by rounding; an
            interrupted one of another layout is told apart by its work folder, which says so.
    """
    left_out = NOT_IN_RESULT | (set() if layout else LAYOUT)
    kept = settings.model_dump(mode="json", exclude=left_out)
    ingredients = [kept, dataset, list(starts), code_digest(TRAINING), spec_digest(settings.environment)]
    return sha256_bytes(canonical_json(ingredients).encode())[:32]
