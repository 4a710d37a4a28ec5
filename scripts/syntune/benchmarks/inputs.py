"""Reading the files that a benchmark is published as."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from syntune.errors import UserError


def read_text(path: str | Path) -> str:
    """The text of a file; a file that is missing or not UTF-8 is a :class:`UserError`."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error})") from error


def read_json_file(path: str | Path) -> Any:
    """The content of a JSON file."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: not JSON ({error})") from error


def read_json_lines(path: str | Path) -> Iterator[tuple[str, Any]]:
    """Yield ``FILE: line N`` and the value of each line that is not blank."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.strip():
            where = f"{path}: line {number}"
            try:
                yield where, json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"{where}: not JSON ({error.msg})") from error


def listed(names: Iterable[Any], limit: int = 3) -> str:
    """The first names and the number of the others, for messages: ``a, b, c and 12 more``."""
    names = [str(name) for name in names]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def repeated(names: Iterable[Any]) -> list[Any]:
    """The names that stand more than once, each once, in order."""
    seen: set[Any] = set()
    doubled = {name: None for name in names if name in seen or seen.add(name)}
    return list(doubled)
