"""Clearances: a run may be trained, for what would be trained has been rehearsed and its data were searched."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from syntune.artifacts.fingerprints import training_fingerprint
from syntune.artifacts.manifests import Manifest
from syntune.errors import UserError
from syntune.files import read_json
from syntune.settings.reading import read_settings
from syntune.settings.runs import TrainedRunSettings

R = TypeVar("R", bound=BaseModel)


class Clearance(BaseModel):
    """What a clearance vouches for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str = Field(description="of the run's training, as if it began at its base model: what was rehearsed")
    upstream: str = Field(description="digest of all that the workflow's plan knew of what the run is made from")


class Rehearsed(BaseModel):
    """What a rehearsal trained a few steps of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str = Field(description="the run's name")
    fingerprint: str = Field(description="as a clearance has it")


def rehearsed_fingerprint(settings: TrainedRunSettings, dataset: Manifest, base: Manifest) -> str:
    """The fingerprint that a rehearsal vouches for: of the run's training, begun at its base.

    It changes with nothing but what makes Snakemake rehearse again.
    """
    return training_fingerprint(settings, dataset.content, [base.content])


def read_clearance(path: str | Path) -> Clearance:
    """Read a clearance.

    Raises:
        UserError: it is not there, or is none.
    """
    return _read(path, Clearance)


def read_rehearsed(path: str | Path) -> Rehearsed:
    """Read what a rehearsal vouches for; errors as of :func:`read_clearance`."""
    return _read(path, Rehearsed)


def _read(path: str | Path, kind: type[R]) -> R:
    """Read one JSON object of ``kind``."""
    try:
        return read_settings(read_json(path), kind, str(path))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}); delete it and run snakemake again") from error
