"""Data-Juicer's operators: loaded one by one and called batch by batch, so that nothing fails or drops in silence.

Its own datasets are left out: a batch of rows goes from operator to operator as Python lists, memory does not grow with
the rows, and an operator costs no more than what it does. Its packages import every operator and three executors; here
only the operators of the recipe are imported.
"""

import importlib
import os
import random
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from syntune.data.offline import no_installs, stay_offline
from syntune.data.ordering import key_hash
from syntune.errors import UserError
from syntune.recipes.names import unknown

if TYPE_CHECKING:
    from data_juicer.ops.base_op import OP

STATS = "__dj__stats__"
"""Data-Juicer's column of statistics."""

PRODUCED = "DJ_PRODUCED_DATA_DIR"
"""The variable that names Data-Juicer's folder for images that operators make."""

_META = "__dj__meta__"

_OURS = {"skip_op_error": False, "auto_op_parallelism": False, "num_proc": None}
"""Parameters that every operator gets: fail on an error, one process."""

_KINDS = ("mapper", "filter", "deduplicator", "selector")

_OPERATORS = Path(__file__).resolve().parents[1] / "operators"


class JuicerSample(dict):
    """A row or a batch as operators see it: ``sample["a.b"]`` is ``sample["a"]["b"]``, as in Data-Juicer's datasets."""

    def __missing__(self, key: str) -> Any:
        """The value below a key with dots."""
        first, dot, rest = key.partition(".")
        if not dot or first not in self:
            raise KeyError(key)
        value = self[first]
        return [JuicerSample(item)[rest] for item in value] if isinstance(value, list) else JuicerSample(value)[rest]


def prepare_data_juicer(produced: Path) -> None:
    """Make importing Data-Juicer safe and quick; call it before anything imports it.

    Args:
        produced: where images that an operator makes are written; Data-Juicer would write them beside the seed's.
    """
    stay_offline()
    os.environ.update(TOKENIZERS_PARALLELISM="false", **{PRODUCED: str(produced)})
    if "data_juicer" not in sys.modules:
        _leave_packages_empty()
    import data_juicer  # noqa: F401 (adds its log handler on import)
    import datasets
    from data_juicer.utils.lazy_loader import LazyLoader
    from loguru import logger
    from PIL import ImageFile

    logger.remove()
    ImageFile.LOAD_TRUNCATED_IMAGES = False  # Data-Juicer sets it, and half an image would pass for a whole one
    datasets.disable_caching()
    datasets.disable_progress_bars()
    no_installs(LazyLoader)


def _leave_packages_empty() -> None:
    """Let Data-Juicer's modules be found without running what its packages' ``__init__`` import.

    What modules import from these packages is looked up where it is defined.
    """
    root = find_spec("data_juicer").submodule_search_locations[0]
    for name in ("ops", "core", "core.data", *(f"ops.{kind}" for kind in _KINDS)):
        package = ModuleType(f"data_juicer.{name}")
        package.__path__ = [f"{root}/{name.replace('.', '/')}"]
        package.__spec__ = ModuleSpec(package.__name__, None, is_package=True)
        package.__spec__.submodule_search_locations = package.__path__
        sys.modules[package.__name__] = package
    sys.modules["data_juicer.ops"].__getattr__ = _found_in("data_juicer.ops.base_op")
    sys.modules["data_juicer.core.data"].__getattr__ = _found_in("data_juicer.core.data.dj_dataset")
    sys.modules["data_juicer.core.data"].wrap_func_with_nested_access = lambda function: function


def _found_in(module: str) -> Callable[[str], Any]:
    """A package's ``__getattr__`` that takes everything from one of its modules."""

    def lookup(name: str) -> Any:
        """The attribute."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(importlib.import_module(module), name)

    return lookup


def load_operator(name: str, parameters: dict[str, Any], where: str, numbers: dict[str, float] | None = None) -> "OP":
    """Check an operator's name and parameters, and make it.

    Args:
        name: the operator's.
        parameters: as the recipe gives them.
        where: what messages begin with.
        numbers: parameters that may have fractions even where the operator asks for a whole number: percentiles.

    Raises:
        UserError: an unknown operator or parameter, a wrong value, or an operator of a kind that is not supported.
    """
    import_operator(name, where)
    from data_juicer.core.preflight import PipelineConfigError, pre_instantiation_check
    from data_juicer.ops.base_op import OPERATORS, Deduplicator, Filter, Mapper, Selector

    try:
        pre_instantiation_check([{name: parameters}])
    except PipelineConfigError as error:
        first, more = error.errors[0], len(error.errors) - 1
        raise UserError(f"{where}: process: {first}" + (f" (and {more} more)" if more else "")) from error
    try:
        operator = OPERATORS.modules[name](**parameters | (numbers or {}) | _OURS)
    except Exception as error:  # each operator checks its parameters in its own way
        raise UserError(f"{where}: process: {name}: {error}") from error
    supported = isinstance(operator, Mapper | Filter | Deduplicator | Selector)
    if not supported or (operator._name.startswith("ray_") or "_fused_" in operator._name):
        raise UserError(f"{where}: process: {name}: operators of its kind are not supported; remove it")
    return operator


def operator_modules() -> dict[str, str]:
    """The module that registers each operator, Data-Juicer's or this project's own, by the operator's name."""
    root = Path(find_spec("data_juicer").submodule_search_locations[0]) / "ops"
    files = {kind: root.glob(f"{kind}/*_{kind}.py") for kind in _KINDS}
    theirs = {file.stem: f"data_juicer.ops.{kind}.{file.stem}" for kind, found in files.items() for file in found}
    ours = [file.stem for kind in _KINDS for file in _OPERATORS.glob(f"*_{kind}.py")]
    return theirs | {name: f"syntune.operators.{name}" for name in ours}


def import_operator(name: str, where: str) -> None:
    """Import the module that registers an operator, and no other.

    Raises:
        UserError: there is none; the message begins with ``where``.
    """
    modules = operator_modules()
    if name not in modules:
        raise UserError(f"{where}: process: {unknown(name) or f'no operator {name} in this Data-Juicer'}")
    importlib.import_module(modules[name])


def is_mapper(operator: "OP") -> bool:
    """Whether an operator changes rows."""
    from data_juicer.ops.base_op import Mapper

    return isinstance(operator, Mapper)


def map_rows(operator: "OP", rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows that a mapper makes of ``rows``: changed, fewer or more.

    Raises:
        UserError: the operator failed; the message names it.
    """
    rows = [_with_meta(operator, row) for row in rows]
    with _Called(operator, rows):
        if not operator.is_batched_op():
            return [dict(operator.process_single(JuicerSample(row))) for row in rows]
        made: list[dict[str, Any]] = []
        for batch in _batches(rows, operator.batch_size):
            made.extend(_as_rows(operator.process_batched(_as_batch(batch))))
        return made


def compute_stats(operator: "OP", rows: list[dict[str, Any]]) -> None:
    """Let a filter add its statistics to the rows' ``__dj__stats__``, as plain numbers, texts and lists."""
    with _Called(operator, rows):
        if not operator.is_batched_op():
            for row in rows:
                row.setdefault(STATS, {})
                row.update(operator.compute_stats_single(JuicerSample(_with_meta(operator, row))))
        else:
            for batch in _batches(rows, operator.batch_size):
                for row in batch:
                    row.setdefault(STATS, {})
                computed = operator.compute_stats_batched(_as_batch(batch))
                for row, stats in zip(batch, computed[STATS], strict=True):
                    row[STATS] = stats
    for row in rows:
        row[STATS] = {name: _plain(value) for name, value in row[STATS].items()}


def decide(operator: "OP", rows: list[dict[str, Any]]) -> list[bool]:
    """Which rows a filter keeps, by their statistics."""
    with _Called(operator, rows):
        if not operator.is_batched_op():
            return [bool(operator.process_single(JuicerSample(row))) for row in rows]
        kept: list[bool] = []
        for batch in _batches(rows, operator.batch_size):
            kept.extend(map(bool, operator.process_batched(_as_batch(batch))))
        return kept


def compute_columns(operator: "OP", rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a deduplicator's or selector's ``compute_hash`` adds to each row: the columns that it compares."""
    compute = getattr(type(operator), "compute_hash", None)
    if compute is None:
        return [{} for _ in rows]
    with _Called(operator, rows):
        hashed = (compute(operator, JuicerSample(row)) for row in rows)
        return [
            {key: _plain(value) for key, value in made.items() if key not in row or key.startswith("__dj__hash")}
            for row, made in zip(rows, hashed, strict=True)
        ]


class _Called:
    """A call of an operator: random numbers that depend on the rows alone, and a failure that names the operator."""

    def __init__(self, operator: "OP", rows: list[dict[str, Any]]) -> None:
        """``rows`` are what it is called with."""
        self.name = operator._name
        self.first = rows[0]["id"] if rows else ""

    def __enter__(self) -> None:
        """Draw the same every time."""
        import numpy as np

        seed = int(key_hash("draw", self.name, self.first)[:8], 16)
        random.seed(seed)
        np.random.seed(seed)

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        """Name the operator."""
        if isinstance(error, Exception):
            what = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            raise UserError(f"operator {self.name} failed: {what}") from error


def _with_meta(operator: "OP", row: dict[str, Any]) -> dict[str, Any]:
    """A row with the column that operators which tag rows write to."""
    from data_juicer.ops.base_op import TAGGING_OPS

    return row | {_META: {}} if operator._name in TAGGING_OPS.modules and _META not in row else row


def _batches(rows: list[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    """``rows`` in batches of the size that the operator asks for."""
    return [rows[start : start + size] for start in range(0, len(rows), max(1, size))]


def _as_batch(rows: list[dict[str, Any]]) -> JuicerSample:
    """Rows as columns; a row that lacks one has None there."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return JuicerSample({column: [row.get(column) for row in rows] for column in columns})


def _as_rows(batch: dict[str, list]) -> list[dict[str, Any]]:
    """Columns as rows."""
    return [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]


def plain_rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows without values of numpy's."""
    return [{key: _plain(value) for key, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    """A value of numpy's as Python's own."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
