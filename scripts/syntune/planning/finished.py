"""What the plan's formulas say of trainings that are finished, to be held beside what they took."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from syntune.artifacts.manifests import Manifest
from syntune.artifacts.plans import Foretold
from syntune.artifacts.training_records import TrainingSummary
from syntune.errors import UserError
from syntune.files import read_json
from syntune.planning.chips import chip_of
from syntune.planning.forecast import memory_of, step_work
from syntune.planning.memory import GIB
from syntune.planning.rows import rows_of_manifest
from syntune.planning.shapes import shape_of
from syntune.planning.speed import step_seconds
from syntune.settings.runs import TrainedRunSettings


def foretell(
    summaries: Iterable[TrainingSummary], datasets: Iterable[Manifest], models: Sequence[Path]
) -> dict[str, Foretold]:
    """By the run's name; without those that trained on a CPU, or whose model or settings are of an unknown kind.

    Args:
        summaries: of the finished trainings.
        datasets: manifests of what they were trained on.
        models: the base models' manifests, beside their folders.
    """
    summaries = {summary.run: summary for summary in summaries}
    rows = {dataset.name: rows_of_manifest(dataset) for dataset in datasets}
    folders = {path.name.removesuffix(".manifest.json"): path for path in models}
    found = {}
    for run, summary in summaries.items():
        try:
            settings = TrainedRunSettings.model_validate(summary.hyperparameters)
            start = settings.start
            while start in summaries:
                start = summaries[start].hyperparameters["start"]
            if not settings.gpus or settings.dataset not in rows or start not in folders:
                continue
            config = folders[start].with_name(start) / "config.json"
            shape = shape_of(read_json(config), str(config))
        except (ValidationError, UserError, KeyError, OSError, ValueError):
            continue
        chip, own = chip_of(summary.device or ""), rows[settings.dataset]
        seconds = None
        if chip and summary.steps:
            seconds = summary.steps * step_seconds(shape, settings, step_work(shape, settings, own), chip)
        found[run] = Foretold(peak_gib=memory_of(shape, settings, own).allocated / GIB, seconds=seconds)
    return found
