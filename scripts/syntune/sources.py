"""Which code a command runs, and what that code does: the identity by which work counts as done.

Snakemake sees neither a module that a script imports nor whether an edit changed more than a comment. A digest of every
file's syntax tree, without comments, docstrings and layout, says both: an edit reruns exactly the rules whose code now
does something else.
"""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

from syntune.files import canonical_json, sha256_bytes

SCRIPTS = Path(__file__).resolve().parents[1]


class Source(NamedTuple):
    """A source file as it was when this process first read it."""

    sha256: str
    digest: str
    """Of what its code does."""
    imports: tuple[Path, ...]
    """The library's files that its import statements name."""


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
            waiting.extend(read_source(file).imports)
    return tuple(sorted(found))


def file_digests(script: str) -> dict[str, str]:
    """For each of :func:`source_files`, by its path below ``scripts/``, a digest of what its code does."""
    return {file.relative_to(SCRIPTS).as_posix(): read_source(file).digest for file in source_files(script)}


def code_digest(script: str) -> str:
    """One digest of all the code that ``scripts/{script}.py`` runs."""
    return sha256_bytes(canonical_json(file_digests(script)).encode())


@cache
def read_source(file: Path) -> Source:
    """What a source file holds, does and imports."""
    data = file.read_bytes()
    tree = ast.parse(data, filename=str(file))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, file)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [statement for statement in body if not _is_bare_text(statement)]
    imports = tuple(path for name in sorted(names) for path in _files_of(name))
    return Source(sha256_bytes(data), sha256_bytes(ast.dump(tree).encode())[:16], imports)


def _is_bare_text(statement: ast.stmt) -> bool:
    """Whether a statement is a string and nothing else: a docstring, of a variable too."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


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
