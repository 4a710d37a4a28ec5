"""The plan of a whole config: its datasets and its trainings."""

from pathlib import Path

from syntune.artifacts.plans import Plan, PlannedData, PlannedRun
from syntune.artifacts.reading import read_json_file
from syntune.artifacts.remaking import remake
from syntune.artifacts.training_records import TrainingSummary
from syntune.errors import UserError
from syntune.planning.chips import CHIPS
from syntune.planning.forecast import hours_of, memory_of, memory_parts, refuse_too_large, step_work, steps_of
from syntune.planning.memory import GIB, trained_parameters
from syntune.planning.models import model_shape
from syntune.planning.rows import Rows, rows_of
from syntune.planning.speed import step_flops
from syntune.settings.runs import TrainedRunSettings
from syntune.settings.tree import Settings


def plan_config(settings: Settings, results: Path) -> Plan:
    """What a config will take; each training is a run of ``settings``."""
    trained = {name: run for name, run in settings.runs.items() if isinstance(run, TrainedRunSettings)}
    rows = {name: rows_of(settings, name, results) for name in settings.datasets}
    runs = [plan_run(settings, name, run, rows[run.dataset], results) for name, run in trained.items()]
    hours = {
        chip.name: sum(run.gpus * run.hours[chip.name] for run in runs if chip.name in run.hours)
        for chip in CHIPS
        if settings.plan.gpu in (None, chip.name)
    }
    price = settings.plan.price_per_gpu_hour
    return Plan(
        datasets=[
            PlannedData(dataset=name, rows=found.number, counted=found.made, bytes=found.bytes)
            for name, found in rows.items()
        ],
        runs=runs,
        gpu_hours=hours,
        costs=None if price is None else {name: price * number for name, number in hours.items()},
    )


def plan_run(settings: Settings, name: str, run: TrainedRunSettings, rows: Rows, results: Path) -> PlannedRun:
    """What a training will take, as far as it can be told."""
    steps = steps_of(run, rows)
    known = {
        "run": name,
        "method": run.method,
        "rows": rows.number,
        "rows_counted": rows.made,
        "steps": steps,
        "supervised_tokens": None if steps is None else round(steps * run.global_batch_size * rows.supervised),
        "gpus": run.gpus,
    }
    if not run.gpus:
        return PlannedRun(**known, unknown="it trains on the CPU, whose memory and time are not predicted")
    try:
        shape = model_shape(settings, name, results)
    except UserError as error:
        return PlannedRun(**known, unknown=str(error))
    memory = memory_of(shape, run, rows)
    work = step_work(shape, run, rows)
    measured_hours, measured_on = _measured(name, steps, work.tokens * run.gpus, results)
    return PlannedRun(
        **known,
        parameters={
            "language model": shape.text.parameters,
            "vision towers": shape.tower_parameters,
            "connector": shape.connector_parameters,
        },
        trained_parameters=trained_parameters(shape, run),
        memory_gib=memory_parts(memory),
        allocated_gib=round(memory.allocated / GIB, 3),
        needed_gib=round(memory.total / GIB, 3),
        flops=None if steps is None else steps * run.gpus * step_flops(shape, run, work),
        hours={} if steps is None else hours_of(shape, run, rows, steps),
        measured_hours=measured_hours,
        measured_on=measured_on,
    )


def _measured(run: str, steps: int | None, tokens: float, results: Path) -> tuple[float | None, str | None]:
    """Hours at the speed that the run's last training recorded, and where that was; None without one."""
    path = results / f"checkpoints/{run}/summary.json"
    if steps is None or not path.is_file():
        return None, None
    summary = read_json_file(path, TrainingSummary, remake(path))
    if not summary.tokens_per_second:
        return None, None
    return steps * tokens / summary.tokens_per_second / 3600, summary.device


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
