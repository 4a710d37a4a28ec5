"""Operators called through Data-Juicer's datasets on Ray: a chunk spread over a machine's cores or a cluster's.

Every machine must see the project's folder under the same path, with the seed's images.
"""

import os
from pathlib import Path
from typing import Any

from syntune.data.juicer import PRODUCED, STATS, plain_rows, prepare_data_juicer
from syntune.errors import UserError
from syntune.sources import SCRIPTS

_PLACE, _FOLDER = "__place", "SYNTUNE_FOLDER"


def map_rows(operator: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As :func:`syntune.data.juicer.map_rows`, in the same order."""
    return _processed(operator, rows)


def compute_stats(operator: Any, rows: list[dict[str, Any]]) -> None:
    """As :func:`syntune.data.juicer.compute_stats`."""
    for row, computed in zip(rows, _processed(operator, rows), strict=True):
        row[STATS] = {name: value for name, value in computed[STATS].items() if value is not None}


def _processed(operator: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What Data-Juicer's dataset on Ray makes of the rows; Ray keeps no order, so a column of places does."""
    import ray
    from data_juicer.core.data.ray_dataset import RayDataset

    _start(ray)
    numbered = [{**row, _PLACE: place} for place, row in enumerate(rows)]
    for row in numbered:
        if not row.get(STATS):
            row.pop(STATS, None)
    if not numbered:
        return []
    try:
        data = RayDataset(ray.data.from_items(numbered), auto_op_parallelism=False).process([operator], stats_only=True)
        made = plain_rows(data.data.take_all())
    except Exception as error:  # whatever fails inside an operator
        raise UserError(f"operator {operator._name} failed: {type(error).__name__}: {error}") from error
    made.sort(key=lambda row: row[_PLACE])
    for row in made:
        del row[_PLACE]
        row.setdefault(STATS, {})
    return made


def _start(ray: Any) -> None:
    """Connect to the cluster that RAY_ADDRESS names, or start one on this machine."""
    if not ray.is_initialized():
        worker = {
            "env_vars": {"PYTHONPATH": str(SCRIPTS), PRODUCED: os.environ[PRODUCED], _FOLDER: str(Path.cwd())},
            "worker_process_setup_hook": f"{__name__}.prepare_worker",
        }
        local = {} if os.environ.get("RAY_ADDRESS") else {"address": "local", "num_cpus": os.cpu_count()}
        ray.init(log_to_driver=False, include_dashboard=False, logging_level="error", runtime_env=worker, **local)
        ray.data.DataContext.get_current().enable_progress_bars = False


def prepare_worker() -> None:
    """Make a process of Ray's as safe as the job's own, and let it start from the same folder."""
    os.chdir(os.environ[_FOLDER])
    prepare_data_juicer(Path(os.environ[PRODUCED]))
