"""Clearances: a run may be trained, for what would be trained has been rehearsed and its data were searched."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from syntune.artifacts.fingerprints import training_fingerprint
from syntune.artifacts.manifests import Manifest
from syntune.errors import UserError
from syntune.files import read_json
from syntune.settings.reading import read_settings
from syntune.settings.runs import TrainedRunSettings


class Clearance(BaseModel):
    """What a clearance vouches for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str = Field(description="of the run's training, as if it began at its base model: what was rehearsed")
    upstream: str = Field(description="digest of all that the workflow's plan knew of what the run is made from")


def rehearsed_fingerprint(settings: TrainedRunSettings, dataset: Manifest, base: Manifest) -> str:
    """The fingerprint that a rehearsal vouches for: of its own script, and begun at the run's base.

    It changes with nothing but what makes Snakemake rehearse again.
    """
    return training_fingerprint(settings, dataset.content, [base.content], script="rehearse_training")


def read_clearance(path: str | Path) -> Clearance:
    """Read a clearance.

    Raises:
        UserError: it is not there, or is none.
    """
    try:
        return read_settings(read_json(path), Clearance, str(path))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no readable clearance for training ({error}); run snakemake again") from error
