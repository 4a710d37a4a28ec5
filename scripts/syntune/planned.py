"""What a job runs is what was planned, or it stops before it writes.

Every job reads its scripts, and a job on a cluster reads Snakefile and config again, maybe hours after the planning.
Snakemake records what it planned, whatever ran. So the process that plans writes the config, and what all code does, to
a file, and names it in an environment variable that its jobs inherit: they take the config from there, and stop where
a recipe or their code has changed.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from syntune.artifacts.reading import read_json_file
from syntune.artifacts.schema import Schema
from syntune.errors import UserError
from syntune.files import canonical_json, sha256_bytes, sha256_file, write_json
from syntune.sources import SCRIPTS, read_source, source_files

VARIABLE = "SYNTUNE_PLANNED"
"""The environment variable that holds the path of the plan."""

FOLDER = Path(".snakemake/syntune")
"""Where plans are kept, by their content."""

_AGAIN = "changed after this job was planned; run snakemake again"


class Plan(Schema):
    """What one call of Snakemake planned with."""

    config: dict[str, Any]
    recipes: dict[str, str]
    """The SHA-256 of each recipe and of each file that one names, by path."""
    code: dict[str, dict[str, tuple[str, str]]]
    """Of each script, and each operator that a recipe may name, its source files by their paths below ``scripts/``: the
    SHA-256, and a digest of what they do."""

    def digests(self) -> dict[str, dict[str, str]]:
        """Of each script the digests of its source files, as :func:`syntune.sources.file_digests` gives them."""
        return {script: {path: digest for path, (_, digest) in files.items()} for script, files in self.code.items()}


def write_plan(config: Mapping[str, Any], recipes: Iterable[str]) -> None:
    """Keep what is planned, for the jobs that this process starts."""
    hashes = {path: sha256_file(path) for path in sorted(set(recipes))}
    files = [*SCRIPTS.glob("*.py"), *SCRIPTS.glob("syntune/operators/*.py")]
    names = sorted(file.relative_to(SCRIPTS).with_suffix("").as_posix() for file in files)
    code = {name: _sources(name) for name in names}
    value = Plan(config=dict(config), recipes=hashes, code=code).as_written()
    path = FOLDER.absolute() / f"{sha256_bytes(canonical_json(value).encode())[:16]}.json"
    if not path.exists():
        write_json(path, value)
    os.environ[VARIABLE] = str(path)


def read_plan() -> Plan | None:
    """The plan that this process is a job of; None if it was started by hand."""
    path = os.environ.get(VARIABLE)
    return read_json_file(path, Plan, "run snakemake again") if path else None


def require_planned_recipes(plan: Plan) -> None:
    """Stop a job one of whose recipes, or of the files that they name, may have changed.

    Raises:
        UserError: one of them is not what was planned with.
    """
    require_planned_files(f"{path} {sha256}" for path, sha256 in plan.recipes.items())


def require_planned_files(files: Iterable[str]) -> None:
    """Stop a job one of whose files, each given as ``PATH SHA256``, holds something else by now.

    Raises:
        UserError: names that file.
    """
    for file in files:
        path, _, sha256 = file.rpartition(" ")
        if not Path(path).is_file() or sha256_file(path) != sha256:
            raise UserError(f"{path}: {_AGAIN}")


def require_planned_code(script: str) -> None:
    """Stop a job whose code no longer does what was planned; a changed comment stops none.

    Args:
        script: its path below ``scripts/``, without the ending; or that of a module which it imports by a name that
            only the job knows, such as a recipe's operator.

    Raises:
        UserError: a source file of ``scripts/{script}.py`` is not the one that was planned with.
    """
    plan = read_plan()
    for name, (sha256, digest) in (plan.code.get(script, {}) if plan else {}).items():
        file = SCRIPTS / name
        if not file.is_file() or (sha256_file(file) != sha256 and read_source(name).digest != digest):
            raise UserError(f"scripts/{name}: {_AGAIN}")


def _sources(script: str) -> dict[str, tuple[str, str]]:
    """The source files of a script as this process first read them."""
    return {path: read_source(path)[:2] for path in source_files(script)}
