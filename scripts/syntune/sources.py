"""Which code a command runs, and what that code does: the identity by which work counts as done.

Snakemake sees neither a module that a script imports nor whether an edit changed more than a comment. A digest of every
file's syntax tree, without comments, docstrings and layout, says both: an edit reruns exactly the rules whose code now
does something else.
"""

import ast
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

from syntune.files import canonical_json, sha256_bytes, sha256_file, write_json

SCRIPTS = Path(__file__).resolve().parents[1]


class Source(NamedTuple):
    """A source file as it was when this process first read it."""

    sha256: str
    digest: str
    """Of what its code does."""
    imports: tuple[str, ...]
    """The library's files that its import statements name, by their paths below ``scripts/``."""


@cache
def source_files(script: str) -> tuple[str, ...]:
    """The sorted paths of ``{script}.py`` and of every module of this library that it imports, directly or not.

    Static: imports inside functions count, imports by computed names do not.
    """
    found: set[str] = set()
    waiting = [f"{script}.py"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(read_source(path).imports)
    return tuple(sorted(found))


_GIVEN: dict[str, dict[str, str]] = {}
"""What :func:`file_digests` gives without a look at the files."""


def give_digests(of_scripts: Mapping[str, dict[str, str]]) -> None:
    """Let :func:`file_digests` answer with what was planned: a job's code is compared with that as it starts."""
    _GIVEN.update(of_scripts)


def file_digests(script: str) -> dict[str, str]:
    """For each of :func:`source_files`, by its path below ``scripts/``, a digest of what its code does."""
    if script in _GIVEN:
        return _GIVEN[script]
    return {path: read_source(path).digest for path in source_files(script)}


def code_digest(script: str) -> str:
    """One digest of all the code that ``scripts/{script}.py`` runs."""
    return sha256_bytes(canonical_json(file_digests(script)).encode())


_PARSER = f"{sys.version_info[:2]} {sha256_file(__file__)}"
"""What parses source files: what another one found says nothing."""

_PARSED: dict[str, list] = {}
"""Of source files by path: the SHA-256, a digest of what the code does, and the modules that it may import."""


@cache
def read_source(path: str) -> Source:
    """What a source file holds, does and imports; ``path`` is below ``scripts/``, as all paths here: a plan names some
    thousand, for which :class:`Path` is slow.
    """
    with open(os.path.join(SCRIPTS, path), "rb") as file:
        data = file.read()
    sha256 = sha256_bytes(data)
    if path not in _PARSED or _PARSED[path][0] != sha256:
        _PARSED[path] = [sha256, *_parse(data, path)]
    _, digest, names = _PARSED[path]
    return Source(sha256, digest, tuple(path for name in names for path in _files_of(name)))


def parse_once(kept: Path) -> None:
    """Read all source files, and parse only those that changed since an earlier process kept what it found."""
    known = {}
    with suppress(OSError, ValueError, KeyError):
        found = json.loads(kept.read_bytes())
        known = found["parsed"] if found["parser"] == _PARSER else {}
    _PARSED.update(known)
    for folder, _, names in os.walk(SCRIPTS):
        for name in names:
            if name.endswith(".py"):
                read_source(os.path.relpath(os.path.join(folder, name), SCRIPTS))
    if known != _PARSED:
        write_json(kept, {"parser": _PARSER, "parsed": _PARSED})


def _parse(data: bytes, path: str) -> tuple[str, list[str]]:
    """A digest of what a source file does, and the modules that its import statements may name."""
    tree = ast.parse(data, filename=path)
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, path)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [statement for statement in body if not _is_bare_text(statement)]
    own = sorted(name for name in names if name.split(".")[0] == "syntune")
    return sha256_bytes(ast.dump(tree).encode())[:16], own


def _is_bare_text(statement: ast.stmt) -> bool:
    """Whether a statement is a string and nothing else: a docstring, of a variable too."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _absolute(node: ast.ImportFrom, path: str) -> str:
    """The module that a ``from`` import names, relative dots resolved."""
    if not node.level:
        return node.module or ""
    package = path.split("/")[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join((*package, *(node.module or "").split("."))).rstrip(".")


@cache
def _files_of(name: str) -> tuple[str, ...]:
    """The file of a module of the library and the ``__init__`` of each package above it."""
    parts = name.split(".")
    folders = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    paths = [*(f"{folder}/__init__.py" for folder in folders), f"{folders[-1]}.py"]
    return tuple(filter(_is_there, paths))


@cache
def _is_there(path: str) -> bool:
    """Whether there is such a file below ``scripts/``."""
    return os.path.isfile(os.path.join(SCRIPTS, path))
