"""Clearances: a run may be trained, for what would be trained has been rehearsed and its data were searched."""

from pydantic import Field

from syntune.artifacts.fingerprints import data_content, training_fingerprint
from syntune.artifacts.manifests import Manifest
from syntune.artifacts.schema import Artifact
from syntune.settings.runs import TrainedRunSettings


class Clearance(Artifact):
    """What a clearance vouches for."""

    fingerprint: str = Field(description="of the run's training, as if it began at its base model: what was rehearsed")
    upstream: str = Field(description="digest of all that the workflow's plan knew of what the run is made from")


class Rehearsed(Artifact):
    """What a rehearsal trained a few steps of."""

    run: str = Field(description="the run's name")
    fingerprint: str = Field(description="as a clearance has it")


def rehearsed_fingerprint(settings: TrainedRunSettings, dataset: Manifest, base: Manifest) -> str:
    """The fingerprint that a rehearsal vouches for: of the run's training, begun at its base.

    It changes with nothing but what makes Snakemake rehearse again.
    """
    return training_fingerprint(settings, data_content(settings, dataset), [base.content])
