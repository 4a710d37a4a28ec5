"""Which files a command's code is made of, so that a rule can declare them as inputs.

Snakemake reruns a job when an input changed, but it does not see a module that a script imports. Declaring the whole
import closure makes an edit to a library module rerun exactly the rules that use it.
"""

import ast
from functools import cache
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1]


@cache
def source_files(script: str) -> tuple[Path, ...]:
    """``scripts/{script}.py`` and every module of this library that it imports, directly or not, sorted.

    Static: imports inside functions count, imports by computed names do not.
    """
    found: set[Path] = set()
    waiting = [SCRIPTS / f"{script}.py"]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting.extend(_imported_files(file))
    return tuple(sorted(found))


@cache
def _imported_files(file: Path) -> tuple[Path, ...]:
    """The library's files that ``file`` names in its import statements."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), filename=str(file))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, file)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return tuple(path for name in names for path in _files_of(name))


def _absolute(node: ast.ImportFrom, file: Path) -> str:
    """The module that a ``from`` import names, relative dots resolved."""
    if not node.level:
        return node.module or ""
    package = file.relative_to(SCRIPTS).parent.parts
    package = package[: len(package) - node.level + 1]
    return ".".join((*package, *(node.module or "").split("."))).rstrip(".")


def _files_of(name: str) -> list[Path]:
    """The file of a module and the ``__init__`` of each package above it; nothing for a foreign module."""
    parts = name.split(".")
    if parts[0] != "syntune":
        return []
    packages = [SCRIPTS.joinpath(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    return [path for path in (*packages, SCRIPTS.joinpath(*parts).with_suffix(".py")) if path.is_file()]
