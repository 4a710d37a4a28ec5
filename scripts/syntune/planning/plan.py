"""The plan of a whole config: its stages and its trainings."""

from pathlib import Path

from syntune.artifacts.plans import Plan, PlannedRun
from syntune.errors import UserError
from syntune.planning.chips import CHIPS
from syntune.planning.finished import paces
from syntune.planning.forecast import refuse_too_large
from syntune.planning.models import model_shape
from syntune.planning.rows import rows_of
from syntune.planning.runs import plan_run
from syntune.planning.shapes import Shape
from syntune.planning.stages import planned_stages
from syntune.settings.runs import TrainedRunSettings
from syntune.settings.tree import Settings


def plan_config(settings: Settings, results: Path) -> Plan:
    """What a config will take; each training is a run of ``settings``."""
    trained = {name: run for name, run in settings.runs.items() if isinstance(run, TrainedRunSettings)}
    rows = {name: rows_of(settings, name, results) for name in settings.datasets}
    shapes: dict[str, Shape] = {}
    unknown: dict[str, str] = {}
    for name in trained:
        try:
            shapes[name] = model_shape(settings, name, results)
        except UserError as error:
            unknown[name] = str(error)
    known_paces = paces(trained, rows, shapes, results)
    runs = [
        plan_run(name, run, rows[run.dataset], shapes.get(name) or unknown[name], known_paces)
        for name, run in trained.items()
    ]
    hours = _gpu_hours(settings, runs)
    price = settings.plan.price_per_gpu_hour
    return Plan(
        stages=planned_stages(settings, results, rows, shapes),
        runs=runs,
        gpu_hours=hours,
        costs=None if price is None else {name: price * number for name, number in hours.items()},
    )


def _gpu_hours(settings: Settings, runs: list[PlannedRun]) -> dict[str, float]:
    """Of all trainings that can be told, by GPU; on the user's own too, where its pace tells those of all."""
    told = [run for run in runs if run.hours]
    names = [chip.name for chip in CHIPS if settings.plan.gpu in (None, chip.name)]
    hours = {name: sum(run.gpus * run.hours[name] for run in told) for name in names}
    devices = {run.measured_on for run in told}
    if len(devices) == 1 and (device := devices.pop()):
        hours[f"own {device}"] = sum(run.gpus * run.measured_hours for run in told)
    return hours


def refuse_run(settings: Settings, run: str, results: Path) -> None:
    """Check a run against ``plan.gpu_memory_gib``; one that can't be told is let through, as is one on the CPU.

    Raises:
        UserError: it is predicted not to fit.
    """
    trained, limit = settings.runs[run], settings.plan.gpu_memory_gib
    if limit is None or not isinstance(trained, TrainedRunSettings) or not trained.gpus:
        return
    try:
        shape = model_shape(settings, run, results)
    except UserError:
        return  # the plan tells why
    refuse_too_large(run, shape, trained, rows_of(settings, trained.dataset, results), limit)
