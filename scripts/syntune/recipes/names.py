"""Names that a recipe may use for operators, known without Data-Juicer: a wrong one is told before anything runs."""

import json
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

_OWN = Path(__file__).resolve().parents[1] / "operators"
_TABLE = Path(__file__).with_name("operators.json")

_KINDS = ("_mapper", "_filter", "_deduplicator", "_selector")


@cache
def operator_table() -> dict[str, Any]:
    """Data-Juicer's operators and this project's own, as ``tools/write_operators.py`` found them.

    ``operators`` has by name a JSON schema of an operator's own parameters, or None where they are not known;
    ``shared`` the schemas of the parameters that all operators have.
    """
    return json.loads(_TABLE.read_text(encoding="utf-8"))


def operator_names() -> list[str]:
    """Those of the table, and this project's own, which may be newer than it."""
    own = (file.stem for file in _OWN.glob("*.py") if file.stem.endswith(_KINDS))
    return sorted({*operator_table()["operators"], *own})


def unknown(name: str) -> str | None:
    """What to say of a name that no operator has; None of one that some operator has."""
    names = operator_names()
    if name in names:
        return None
    near = get_close_matches(name, names, n=3)
    return f"unknown operator {name}" + (f"; did you mean: {', '.join(near)}?" if near else "")
