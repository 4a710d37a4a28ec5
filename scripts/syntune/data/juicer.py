"""Data-Juicer, called through its Python API so that nothing fails, drops or installs itself in silence."""

import logging
import os
import random
import time
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from syntune.errors import UserError
from syntune.recipes.reading import Recipe

if TYPE_CHECKING:
    from data_juicer.core.data import NestedDataset
    from data_juicer.ops.base_op import OP

log = logging.getLogger("data-juicer")

_OURS = {"skip_op_error": False, "auto_op_parallelism": False, "num_proc": None}
"""Parameters that every operator gets: fail on an error, one process."""

_STATS, _HASHES = "__dj__stats__", ("__dj__hash", "__dj__minhash", "__dj__simhash", "__dj__imagehash")


class Step(NamedTuple):
    """What one operator did: rows in + added = rows out + dropped."""

    operator: str
    rows_in: int
    added: int
    dropped: int
    rows_out: int


def prepare_data_juicer(produced: Path) -> None:
    """Make importing Data-Juicer safe; call it before anything imports it.

    It would otherwise install missing packages while it runs, ask model hubs, keep a cache in the home folder and write
    the images that an operator makes beside the seed's: these go to ``produced``.
    """
    os.environ.update(
        UV_OFFLINE="1",
        UV_NO_CACHE="1",
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS="",
        HF_HUB_OFFLINE="1",
        TRANSFORMERS_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
        TOKENIZERS_PARALLELISM="false",
        DJ_PRODUCED_DATA_DIR=str(produced),
    )
    import datasets
    from data_juicer.core import data  # noqa: F401 (adds its log handler on import)
    from loguru import logger

    logger.remove()
    datasets.disable_caching()
    datasets.disable_progress_bars()


def load_operators(recipe: Recipe, path: Path) -> list["OP"]:
    """Check a recipe against Data-Juicer's registry and make its operators.

    Raises:
        UserError: an unknown operator or parameter, a wrong value, or an operator that groups rows.
    """
    from data_juicer.core.preflight import PipelineConfigError, pre_instantiation_check
    from data_juicer.ops.base_op import OPERATORS

    try:
        pre_instantiation_check([{name: parameters} for name, parameters in recipe])
    except PipelineConfigError as error:
        first, more = error.errors[0], len(error.errors) - 1
        raise UserError(f"{path}: process: {first}" + (f" (and {more} more)" if more else "")) from error
    operators = []
    for name, parameters in recipe:
        try:
            operators.append(OPERATORS.modules[name](**parameters | _OURS))
        except Exception as error:  # each operator checks its parameters in its own way
            raise UserError(f"{path}: process: {name}: {error}") from error
    return [_supported(operator, path) for operator in operators]


def _supported(operator: "OP", path: Path) -> "OP":
    """Refuse an operator whose output is not a subset, a change or an extension of its rows."""
    from data_juicer.ops.base_op import Deduplicator, Filter, Mapper, Selector

    if not isinstance(operator, Mapper | Filter | Deduplicator | Selector):
        raise UserError(
            f"{path}: process: {operator._name}: {type(operator).__mro__[1].__name__} operators are not supported: "
            "the rows that they merge could not be accounted for"
        )
    return operator


def split_operators(operators: list["OP"]) -> tuple[list["OP"], list["OP"]]:
    """The operators that see one row at a time, and the rest from the first that compares rows."""
    from data_juicer.ops.base_op import Deduplicator, Selector

    for index, operator in enumerate(operators):
        if isinstance(operator, Deduplicator | Selector):
            return operators[:index], operators[index:]
    return operators, []


def run_operators(rows: list[dict], operators: Iterable["OP"]) -> tuple[list[dict], list[Step]]:
    """Run ``operators`` one after the other; stops early when no row is left.

    Statistics stay until a mapper changes what they describe, so that a selector can rank by a filter's statistics. A
    row that an operator adds is known by its repeated id and gets its own: ``parent#operator-1``.

    Raises:
        UserError: an operator failed; the message names it.
    """
    from data_juicer.core.data import NestedDataset

    steps: list[Step] = []
    if not rows:
        return rows, steps
    dataset = NestedDataset.from_list(rows)
    for operator in operators:
        started = time.monotonic()
        ids = _ids(dataset)
        dataset = _run(operator, dataset)
        ids_out = _ids(dataset)
        step = _account(operator._name, ids, ids_out)
        if step.added:
            dataset = dataset.remove_columns("id").add_column("id", _unique_ids(ids_out, operator._name))
        steps.append(step)
        seconds = time.monotonic() - started
        log.info("%s: %d rows in, %d added, %d dropped, %d rows out (%.1f s)", *step, seconds)
        if not step.rows_out:
            break
    return dataset.to_list(), steps


def _run(operator: "OP", dataset: "NestedDataset") -> "NestedDataset":
    """Run one operator and remove the columns that nothing after it may use."""
    import numpy as np
    from data_juicer.ops.base_op import Mapper

    # an operator that draws at random draws the same every time
    random.seed(0)
    np.random.seed(0)
    try:
        dataset = operator.run(dataset)
    except Exception as error:  # whatever fails inside an operator
        raise UserError(f"operator {operator._name} failed: {type(error).__name__}: {error}") from error
    stale = set(_HASHES) | ({_STATS} if isinstance(operator, Mapper) else set())
    return dataset.remove_columns(sorted(stale & set(dataset.column_names)))


def _ids(dataset: "NestedDataset") -> list[str]:
    """The rows' ids."""
    return [row["id"] for row in dataset.select_columns(["id"]).to_list()]


def _account(operator: str, ids_in: list[str], ids_out: list[str]) -> Step:
    """What became of the rows: one whose id is gone was dropped, one whose id repeats was added."""
    remaining = len(set(ids_out))
    return Step(operator, len(ids_in), len(ids_out) - remaining, len(ids_in) - remaining, len(ids_out))


def _unique_ids(ids: list[str], operator: str) -> list[str]:
    """``ids`` with each repeated one replaced by an id that names the parent and the operator."""
    taken = set(ids)
    seen: set[str] = set()
    unique = []
    for row_id in ids:
        if row_id in seen:
            row_id = next(name for name in _derived(row_id, operator) if name not in taken)
            taken.add(row_id)
        seen.add(row_id)
        unique.append(row_id)
    return unique


def _derived(parent: str, operator: str) -> Iterator[str]:
    """The names of the rows that ``operator`` makes of ``parent``: parent#qa_choice-1, -2, ..."""
    return (f"{parent}#{operator.removesuffix('_mapper')}-{number}" for number in count(1))
