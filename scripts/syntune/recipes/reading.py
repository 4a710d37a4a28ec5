"""A recipe: Data-Juicer's YAML, whose ``process`` names operators in order."""

import difflib
import logging
from pathlib import Path
from typing import Any

from syntune.artifacts.rows import JUICER_END_MARK, JUICER_IMAGE_MARK
from syntune.errors import UserError
from syntune.yaml_files import read_yaml

log = logging.getLogger("recipe")

Recipe = list[tuple[str, dict[str, Any]]]
"""Operators in order: name and parameters."""

_FIXED = {
    "text_keys": "text",
    "image_key": "images",
    "image_special_token": JUICER_IMAGE_MARK,
    "eoc_special_token": JUICER_END_MARK,
}
"""Keys of a recipe that may only repeat what the rows of this project hold."""

_IGNORED = (
    *("project_name", "dataset_path", "export_path", "export_type", "np", "executor_type", "open_tracer"),
    *("open_monitor", "use_cache", "skip_op_error", "keep_stats_in_res_ds", "op_fusion", "custom_operator_paths"),
)
"""Keys of a recipe for Data-Juicer's own command; here the workflow decides them."""


def read_recipe(path: str | Path) -> Recipe:
    """The operators that a recipe names.

    Raises:
        UserError: not YAML, an unknown key, a key that the rows contradict, or no operators.
    """
    recipe = read_yaml(path)
    if not isinstance(recipe, dict) or not isinstance(recipe.get("process"), list) or not recipe["process"]:
        raise UserError(f"{path}: process: a list of operators is missing")
    for key, value in recipe.items():
        _check_key(path, key, value)
    return [_named_step(path, index, step) for index, step in enumerate(recipe["process"])]


def _check_key(path: str | Path, key: str, value: Any) -> None:
    """Refuse a key that Data-Juicer does not know or that contradicts the rows."""
    if key in _FIXED and value != _FIXED[key]:
        raise UserError(f"{path}: {key}: the rows of this project need {_FIXED[key]!r}; remove the key")
    if key in _IGNORED:
        log.warning("%s: %s is not used: the workflow decides it", path, key)
    elif key != "process" and key not in _FIXED:
        near = difflib.get_close_matches(str(key), ["process", *_FIXED, *_IGNORED], n=1)
        raise UserError(f"{path}: {key}: unknown key" + (f"; did you mean '{near[0]}'?" if near else ""))


def _named_step(path: str | Path, index: int, step: Any) -> tuple[str, dict[str, Any]]:
    """An operator's name and parameters; Data-Juicer also takes a bare name."""
    if isinstance(step, str):
        step = {step: None}
    if not isinstance(step, dict) or len(step) != 1:
        raise UserError(f"{path}: process[{index}]: expected one operator with its parameters, found {step!r}")
    (name, parameters) = next(iter(step.items()))
    if parameters is not None and not isinstance(parameters, dict):
        raise UserError(f"{path}: process[{index}].{name}: parameters must be key: value, not {parameters!r}")
    return name, parameters or {}
