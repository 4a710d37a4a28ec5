"""Trainings that ended: how their pace compares with the formulas', and what was foretold of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from syntune.artifacts.plans import Foretold, PlannedRun
from syntune.artifacts.reading import read_json_file
from syntune.artifacts.remaking import remake
from syntune.artifacts.training_records import TrainingSummary
from syntune.planning.chips import CHIPS, Chip, chip_of
from syntune.planning.forecast import step_work
from syntune.planning.rows import Rows
from syntune.planning.shapes import Shape
from syntune.planning.speed import step_seconds
from syntune.settings.runs import TrainedRunSettings


@dataclass(frozen=True)
class Pace:
    """How long a training took.

    Attributes:
        run: its name.
        method: its method.
        device: the GPU that it was trained on.
        ruler: the GPU that the formulas were asked about: the same where they know it, else the table's first.
        times: as long as the formulas say of the ruler.
    """

    run: str
    method: str
    device: str
    ruler: Chip
    times: float


def paces(
    runs: Mapping[str, TrainedRunSettings], rows: Mapping[str, Rows], shapes: Mapping[str, Shape], results: Path
) -> dict[str, Pace]:
    """The paces of those of ``runs`` that ended on GPUs, as they were set then."""
    found = {}
    for name, shape in shapes.items():
        path = results / f"checkpoints/{name}/summary.json"
        if not path.is_file():
            continue
        summary = read_json_file(path, TrainingSummary, remake(path))
        try:
            then = TrainedRunSettings.model_validate(summary.hyperparameters)
        except ValidationError:  # of another version
            continue
        if not then.gpus or not summary.steps or not summary.seconds or not summary.device:
            continue
        ruler = chip_of(summary.device) or CHIPS[0]
        foretold = summary.steps * step_seconds(shape, then, step_work(shape, then, rows[runs[name].dataset]), ruler)
        found[name] = Pace(name, then.method, summary.device, ruler, summary.seconds / foretold)
    return found


def foretold(planned: PlannedRun, device: str | None) -> Foretold | None:
    """What was predicted of a training before it began, for the GPU that it ran on; None where nothing was."""
    if planned.allocated_gib is None:
        return None
    chip = chip_of(device or "")
    hours = planned.hours.get(chip.name) if chip else None
    return Foretold(peak_gib=planned.allocated_gib, seconds=None if hours is None else hours * 3600)
