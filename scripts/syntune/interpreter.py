"""The interpreter guard: a command runs in the environment that its rule names, or not at all.

Snakemake activates an environment with ``source .../activate PREFIX`` and ignores that command's exit status; when
activation fails, the job's command runs with whatever ``python`` is on PATH and may even exit with status 0. So every
command proves first that it runs in the right place.
"""

import hashlib
import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path

from syntune.errors import UserError

ENVS = Path(__file__).resolve().parents[2] / "envs"

_PIN = re.compile(r"([\w.-]+)(?:\[[^]]*\])?==([^\s;#'\"]+)")


def require_environment(name: str) -> None:
    """Stop unless this interpreter is the environment made from ``envs/{name}.yaml``.

    Three proofs: ``sys.prefix`` is the activated prefix (CONDA_PREFIX), the spec that Snakemake keeps beside the prefix
    is, byte for byte, the one that the rule names, and what it would import has the versions that are pinned there.
    """
    advice = f"run it through snakemake (with --sdm conda), or as: tools/in-env {name} python {sys.argv[0]} ..."
    prefix = Path(sys.prefix).resolve()
    activated = os.environ.get("CONDA_PREFIX")
    if activated is None or Path(activated).resolve() != prefix:
        raise UserError(
            f"wrong interpreter: {sys.executable} (prefix {prefix}) is not the activated environment "
            f"({activated or 'none is activated'}), so envs/{name}.yaml is not in force; {advice}"
        )
    if _kept_spec() != (ENVS / f"{name}.yaml").read_bytes():
        raise UserError(f"wrong interpreter: {prefix} was not made from envs/{name}.yaml; {advice}")
    _require_pins(name, prefix)


def _kept_spec() -> bytes | None:
    """What Snakemake keeps beside an environment that it made; None beside another one."""
    prefix = Path(sys.prefix).resolve()
    kept = prefix.with_name(prefix.name + ".yaml")
    return kept.read_bytes() if kept.is_file() else None


def _require_pins(name: str, prefix: Path) -> None:
    """Stop where a package that would be imported is not the one that ``envs/{name}.*`` pin."""
    found = _importable()
    for package, pinned in pins(name).items():
        version, folder = found.get(package, ("missing", prefix))
        if pinned not in (version, version.partition("+")[0]):  # torch==2.13.0 allows 2.13.0+cpu
            is_inside = folder.resolve().is_relative_to(prefix)
            advice = f"delete {prefix} and run snakemake, which makes it anew" if is_inside else "unset PYTHONPATH"
            raise UserError(
                f"changed environment: {package} in {folder} is {version}, but envs/{name} pins {pinned}; {advice}"
            )


def pins(name: str) -> dict[str, str]:
    """The version of each package that a spec, or what runs after it, pins."""
    return {_normal(package): version for line in _spec_lines(name) for package, version in _PIN.findall(line)}


def _importable() -> dict[str, tuple[str, Path]]:
    """Version and folder of each installed package, from the name of its metadata's folder: to read them is slower.

    As in an import, the first one on ``sys.path`` counts.
    """
    found: dict[str, tuple[str, Path]] = {}
    for folder in filter(Path.is_dir, map(Path, sys.path)):
        for entry in os.listdir(folder):
            if entry.endswith(".dist-info"):
                package, _, version = entry.removesuffix(".dist-info").partition("-")
                found.setdefault(_normal(package), (version, folder))
    return found


def _normal(package: str) -> str:
    """A package's name as PyPI compares names."""
    return re.sub(r"[-_.]+", "-", package).lower()


def _spec_lines(name: str) -> list[str]:
    """The lines of ``envs/{name}.*``, which is a spec and what runs after it, without comments."""
    texts = [file.read_text(encoding="utf-8") for file in sorted(ENVS.glob(f"{name}.*"))]
    lines = (line.split(" #")[0].rstrip() for text in texts for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def spec_digest(name: str) -> str:
    """What an environment is made from, as one hash: ``envs/{name}.yaml`` without comments, and what runs after it."""
    return hashlib.sha256("\n".join(_spec_lines(name)).encode()).hexdigest()


def describe_interpreter(packages: tuple[str, ...]) -> dict[str, str]:
    """What a manifest records: the name of the environment, the Python and the versions of ``packages``.

    Nothing of where they lie: the same work gives the same bytes in every place.
    """
    spec = _kept_spec()
    names = [file.stem for file in sorted(ENVS.glob("*.yaml")) if file.read_bytes() == spec]
    versions = {package: metadata.version(package) for package in packages}
    return {"environment": names[0] if names else "none", "python": platform.python_version(), **versions}
