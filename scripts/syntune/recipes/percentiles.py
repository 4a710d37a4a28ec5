"""Thresholds that are percentiles: ``25%`` is a quarter of the way up a statistic's sorted values.

The rule ``percentiles`` writes them before the stage that uses them. They belong to the stage's first operator.
"""

from pathlib import Path
from typing import Any

from syntune.artifacts.reading import read_json_file
from syntune.artifacts.remaking import remake
from syntune.artifacts.schema import Artifact, Schema


class Percentile(Schema):
    """One threshold found: ``25%`` of a statistic, its value, and of how many values."""

    percentile: str
    stat: str
    value: float
    values: int


class Percentiles(Artifact):
    """The whole file: the thresholds of an operator, by parameter."""

    thresholds: dict[str, Percentile]


def read_percentiles(path: str | Path) -> dict[str, Percentile]:
    """What the rule ``percentiles`` found, by parameter; nothing where ``path`` is empty."""
    return read_json_file(path, Percentiles, remake(path)).thresholds if str(path) else {}


def resolved(parameters: dict[str, Any], found: dict[str, Percentile]) -> dict[str, Any]:
    """An operator's parameters with numbers in place of percentiles."""
    return parameters | {key: percentile.value for key, percentile in found.items()}


def limit_text(parameter: str, value: float, found: dict[str, Percentile]) -> str:
    """A threshold as the lineage says it: ``min_score 0.28 (25%)``."""
    percentile = f" ({found[parameter].percentile})" if parameter in found else ""
    return f"{parameter} {value:.6g}{percentile}"
