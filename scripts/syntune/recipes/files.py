"""Local files that a recipe's operators read: word lists, tokenizers, and whatever else their parameters name."""

import os
from collections.abc import Iterator
from typing import Any

from syntune.recipes.reading import Recipe
from syntune.settings.file_states import files_at

_WRITTEN = {"save_dir", "output_dir", "work_dir", "stats_export_path"}
"""Parameters that name what an operator writes."""

_ENDINGS = ("_dir", "_path", "_file")
"""Of parameters whose values are paths; of others those are that have a slash and lie somewhere."""


def named_files(operators: Recipe) -> list[str]:
    """The files that parameters name, and those in folders that they name, in order."""
    found = {name for _, parameters in operators for path in _paths(parameters) for name, _ in files_at(path)}
    return sorted(found)


def _paths(parameters: dict[str, Any]) -> Iterator[str]:
    """The values that name something on the disk, within operators that are parameters themselves, too."""
    for key, value in parameters.items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                yield from _paths(part)
            elif isinstance(part, str) and _is_read(key, part):
                yield part


def _is_read(key: str, value: str) -> bool:
    """Whether a parameter's value is a file or a folder that its operator reads."""
    may_be = key not in _WRITTEN and (key.endswith(_ENDINGS) or os.path.sep in value)
    return may_be and (os.path.isfile(value) or os.path.isdir(value))
