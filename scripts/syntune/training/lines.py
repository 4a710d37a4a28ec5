"""The files that a run writes a line to now and then, read again by an attempt that goes on."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from syntune.artifacts.schema import Artifact
from syntune.artifacts.training_records import StepMetrics, ValidationLoss
from syntune.errors import UserError
from syntune.files import atomic_file, read_jsonl

log = logging.getLogger("train")

Line = TypeVar("Line", StepMetrics, ValidationLoss)


def read_done(path: Path, kind: type[Line], done: Sequence[int]) -> list[Line]:
    """The lines of the steps that are ``done``; later ones belong to steps that will be done anew.

    Raises:
        UserError: a line of these steps is missing or damaged.
    """
    kept = [line for line in _whole(path, kind) if line.step <= done[-1]] if done else []
    if [line.step for line in kept] != list(done):
        raise UserError(
            f"{path}: does not hold whole lines of the {done[-1]} steps that are done; delete {path.parent} and run "
            "snakemake again, which trains from the start"
        )
    return kept


def write_lines(path: Path, lines: Sequence[Artifact]) -> None:
    """Write all lines anew."""
    with atomic_file(path) as temporary:
        temporary.write_text("".join(json.dumps(line.as_written()) + "\n" for line in lines), encoding="utf-8")


def _whole(path: Path, kind: type[Line]) -> list[Line]:
    """The lines of a file up to one that a kill cut short, or that is damaged."""
    lines = []
    if path.is_file():
        try:
            for line in read_jsonl(path):
                lines.append(kind.model_validate(line))
        except ValueError:
            log.info("%s: line %d was cut short or is damaged", path, len(lines) + 1)
    return lines
