"""Replicates: a run that is trained several times, written out as one run for each training."""

from syntune.settings.runs import RunSettings
from syntune.settings.tree import Settings


def write_out(settings: Settings) -> Settings:
    """The settings with a run for each training: ``raw`` with ``replicates: 3`` as ``raw``, ``raw-2`` and ``raw-3``.

    The first training is the run as it is without replicates, so that more of them train nothing anew. Training k has
    the run's ``random_seed`` + k - 1. It starts from training k of its start or, where the start is trained once, from
    that one training.
    """
    runs: dict[str, RunSettings] = {}
    for run, own in settings.runs.items():
        first, *further = settings.trainings(run)
        runs[first] = own.model_copy(update={"replicates": 1}) if further else own
        starts = settings.trainings(own.start) if own.start in settings.runs else [own.start]
        for place, name in enumerate(further, start=1):
            start = starts[place] if place < len(starts) else starts[0]
            seed = own.random_seed + place
            runs[name] = runs[first].model_copy(update={"random_seed": seed, "start": start})
    return settings.model_copy(update={"runs": runs})
