"""The plan of one training."""

from collections.abc import Mapping
from pathlib import Path

from syntune.artifacts.manifests import read_manifest
from syntune.artifacts.plans import PlannedRun
from syntune.errors import UserError
from syntune.files import read_json
from syntune.planning.finished import Pace
from syntune.planning.forecast import hours_of, memory_of, memory_parts, not_measured, step_work, steps_of
from syntune.planning.memory import GIB, trained_parameters
from syntune.planning.rows import Rows, rows_of_manifest
from syntune.planning.shapes import Shape, shape_of
from syntune.planning.speed import step_flops
from syntune.settings.runs import TrainedRunSettings


def plan_training(name: str, run: TrainedRunSettings, dataset: Path, base: Path) -> PlannedRun:
    """What a training will take whose data and base model are made.

    Args:
        name: of the run.
        run: its settings.
        dataset: the manifest of what it is trained on.
        base: the folder of the model at its root.
    """
    config = base / "config.json"
    try:
        shape: Shape | str = shape_of(read_json(config), str(config))
    except (UserError, OSError, ValueError) as error:
        shape = str(error)
    return plan_run(name, run, rows_of_manifest(read_manifest(dataset)), shape)


def plan_run(
    name: str, run: TrainedRunSettings, rows: Rows, shape: Shape | str, known: Mapping[str, Pace] | None = None
) -> PlannedRun:
    """What a training will take, as far as it can be told.

    Args:
        name: of the run.
        run: its settings.
        rows: what it is trained on.
        shape: the sizes of its model, or why they are not known.
        known: the paces of the trainings that ended, by run.
    """
    steps = steps_of(run, rows)
    told = {
        "run": name,
        "method": run.method,
        "rows": rows.number,
        "rows_counted": rows.made,
        "steps": steps,
        "supervised_tokens": None if steps is None else round(steps * run.global_batch_size * rows.supervised),
        "gpus": run.gpus,
    }
    if not run.gpus:
        return PlannedRun(**told, unknown="it trains on the CPU, whose memory and time are not predicted")
    if isinstance(shape, str):
        return PlannedRun(**told, unknown=shape)
    memory = memory_of(shape, run, rows)
    hours = {} if steps is None else hours_of(shape, run, rows, steps)
    pace = _pace_of(name, run, known or {})
    return PlannedRun(
        **told,
        parameters={
            "language model": shape.text.parameters,
            "vision towers": shape.tower_parameters,
            "connector": shape.connector_parameters,
        },
        trained_parameters=trained_parameters(shape, run),
        memory_gib=memory_parts(memory),
        allocated_gib=round(memory.allocated / GIB, 3),
        needed_gib=round(memory.total / GIB, 3),
        flops=None if steps is None else steps * run.gpus * step_flops(shape, run, step_work(shape, run, rows)),
        hours=hours,
        measured_hours=hours[pace.ruler.name] * pace.times if hours and pace else None,
        measured_on=pace.device if hours and pace else None,
        measured_by=pace.run if hours and pace else None,
        not_measured=not_measured(run),
    )


def _pace_of(name: str, run: TrainedRunSettings, known: Mapping[str, Pace]) -> Pace | None:
    """The pace to go by: the run's own, else that of one of its method, else any."""
    alike = [pace for pace in known.values() if pace.method == run.method]
    return known.get(name) or next(iter([*alike, *known.values()]), None)
