"""The interpreter guard: a command runs in the environment that its rule names, or not at all.

Snakemake activates an environment with ``source .../activate PREFIX`` and ignores that command's exit status; when
activation fails, the job's command runs with whatever ``python`` is on PATH and may even exit with status 0. So every
command proves first that it runs in the right place.
"""

import hashlib
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from syntune.errors import UserError

ENVS = Path(__file__).resolve().parents[2] / "envs"


def require_environment(name: str) -> None:
    """Stop unless this interpreter is the environment made from ``envs/{name}.yaml``.

    Two proofs: ``sys.prefix`` is the activated prefix (CONDA_PREFIX), and the spec that Snakemake keeps beside the
    prefix is, byte for byte, the one that the rule names.
    """
    advice = f"run it through snakemake (with --sdm conda), or as: tools/in-env {name} python {sys.argv[0]} ..."
    prefix = Path(sys.prefix).resolve()
    activated = os.environ.get("CONDA_PREFIX")
    if activated is None or Path(activated).resolve() != prefix:
        raise UserError(
            f"wrong interpreter: {sys.executable} (prefix {prefix}) is not the activated environment "
            f"({activated or 'none is activated'}), so envs/{name}.yaml is not in force; {advice}"
        )
    kept = prefix.with_name(prefix.name + ".yaml")
    if not kept.is_file() or kept.read_bytes() != (ENVS / f"{name}.yaml").read_bytes():
        raise UserError(f"wrong interpreter: {prefix} was not made from envs/{name}.yaml; {advice}")


def spec_digest(name: str) -> str:
    """What an environment is made from, as one hash: ``envs/{name}.yaml`` without comments, and what runs after it."""
    digest = hashlib.sha256()
    for file in sorted(ENVS.glob(f"{name}.*")):
        lines = (line.split(" #")[0].rstrip() for line in file.read_text(encoding="utf-8").splitlines())
        digest.update("\n".join(line for line in lines if line and not line.startswith("#")).encode())
    return digest.hexdigest()


def describe_interpreter(packages: tuple[str, ...]) -> dict[str, str]:
    """What a manifest records: the interpreter's path, its version and those of ``packages``."""
    executable = Path(sys.executable)
    if executable.is_relative_to(Path.cwd()):
        executable = executable.relative_to(Path.cwd())
    versions = {package: metadata.version(package) for package in packages}
    return {"executable": str(executable), "python": platform.python_version(), **versions}
