"""Lists of names in messages."""

from collections.abc import Iterable
from typing import Any


def listed(names: Iterable[Any], limit: int = 3) -> str:
    """The first names and the number of the others: ``a, b, c and 12 more``."""
    names = [str(name) for name in names]
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def repeated(names: Iterable[Any]) -> list[Any]:
    """The names that stand more than once, each once, in order."""
    seen: set[Any] = set()
    doubled = {name: None for name in names if name in seen or seen.add(name)}
    return list(doubled)
