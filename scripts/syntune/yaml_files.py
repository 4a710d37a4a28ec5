"""YAML files in which every key of a mapping stands once: YAML's readers take the last one and say nothing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from syntune.errors import UserError, one_line

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where PyYAML was built with it: far faster than Python."""

_MERGE = "tag:yaml.org,2002:merge"


def read_yaml(path: str | Path) -> Any:
    """What a YAML file holds.

    Raises:
        UserError: it cannot be read, or a key stands twice in a mapping.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        require_distinct_keys(text, path)
        return yaml.load(text, Loader=_LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path}: not a readable YAML file ({one_line(error)})") from error


def require_distinct_keys(text: str, source: str | Path) -> None:
    """Refuse a mapping with the same key twice; a merge key ``<<`` may be overridden, and stand there twice.

    Raises:
        UserError: names the key and both lines.
        yaml.YAMLError: ``text`` is not YAML.
    """
    for key, first, again in _repeated(yaml.compose(text, _LOADER), (), set()):
        raise UserError(f"{source}: {key}: stands there twice, in lines {first} and {again}; keep one")


def _repeated(node: yaml.Node | None, above: tuple[str, ...], seen: set[int]) -> Iterator[tuple[str, int, int]]:
    """Each repeated key below ``node``, as a path, with the lines of both places, from 1."""
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield from _repeated(value, (*above, str(index)), seen)
    elif isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                name, line = (key.tag, key.value), key.start_mark.line + 1
                if name in lines:
                    yield ".".join((*above, key.value)), lines[name], line
                lines[name] = line
            yield from _repeated(value, (*above, str(key.value)), seen)
