"""Env specs: the part of conda's format that a virtual environment can realise."""

import re
from dataclasses import dataclass
from pathlib import Path

from conda_uv.messages import CondaUvError

KEYS = {"name", "channels", "dependencies"}
PYTHON = re.compile(r"python\s*==?\s*(\d+\.\d+(?:\.\d+)?)(?:\.\*)?")


@dataclass(frozen=True)
class Spec:
    """What an environment holds: a Python version (``3.11``, ``3.11.7``) and lines of a requirements file."""

    python: str
    requirements: tuple[str, ...]

    @property
    def packages(self) -> set[str]:
        """The names of the required packages, normalised as on a package index."""
        names = (re.match(r"[\w.-]+", line) for line in self.requirements)
        return {re.sub(r"[-_.]+", "-", name[0]).lower() for name in names if name}


def read_spec(path: Path) -> Spec:
    """Read a spec with ``python=X.Y``, ``pip`` and a ``pip:`` list among its dependencies.

    Raises CondaUvError naming file and item for anything else, as only a real conda could realise it.
    """
    content = _load_yaml(path)
    if not isinstance(content, dict) or not isinstance(content.get("dependencies"), list):
        raise CondaUvError(f"{path}: no list of dependencies")
    if unknown := content.keys() - KEYS:
        raise CondaUvError(
            f"{path}: {', '.join(map(str, unknown))}: not supported by the uv front-end; use a real conda"
        )
    pythons: list[str] = []
    requirements: list[str] = []
    for item in content["dependencies"]:
        if isinstance(item, str) and (match := PYTHON.fullmatch(item)):
            pythons.append(match[1])
        elif item == "pip":
            requirements.append("pip")
        elif isinstance(item, dict) and item.keys() == {"pip"} and _is_list_of_strings(item["pip"]):
            requirements += item["pip"]
        else:
            raise CondaUvError(
                f"{path}: dependency {item!r}: the uv front-end makes python=X.Y, pip and a pip: list; "
                "conda packages need a real conda"
            )
    if len(pythons) != 1:
        raise CondaUvError(f"{path}: one dependency must say which Python, as in python=3.11")
    return Spec(pythons[0], tuple(requirements))


def _load_yaml(path: Path) -> object:
    import yaml  # a dependency of Snakemake, so it is in every .venv; only this call of conda needs it

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise CondaUvError(f"cannot read the env spec {path}: {error}") from None
    except yaml.YAMLError as error:
        raise CondaUvError(f"{path}: not YAML: {' '.join(str(error).split())}") from None


def _is_list_of_strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
