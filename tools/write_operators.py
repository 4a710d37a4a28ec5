"""Write scripts/syntune/recipes/operators.json: what operators a recipe may name, and their parameters.

    tools/in-env data python tools/write_operators.py            # --print: print it instead

Snakemake plans without Data-Juicer, so what a recipe says is checked against this file.
"""

import inspect
import json
import sys
import tempfile
import typing
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "scripts/syntune/recipes/operators.json"
sys.path.insert(0, str(ROOT / "scripts"))

from pydantic import TypeAdapter  # noqa: E402

from syntune.data.juicer import import_operator, operator_modules, prepare_data_juicer  # noqa: E402
from syntune.errors import UserError  # noqa: E402
from syntune.recipes.refused import out_of_place  # noqa: E402

NOTHING = {"type": "null"}
NO_VALUES = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def schema_of(annotation: Any) -> dict[str, Any]:
    """A JSON schema of a type; one that takes anything where none is known. Null is always taken, so it is left out."""
    if annotation is None:  # Data-Juicer's word for any type
        return {}
    try:
        schema = TypeAdapter(annotation).json_schema()
    except Exception:  # pydantic has many ways to say that it knows no schema
        return {}
    choices = [choice for choice in schema.get("anyOf", []) if choice != NOTHING]
    if len(choices) == 1:
        return choices[0]
    return schema | {"anyOf": choices} if choices else schema


def parameters_of(operator: type) -> dict[str, Any]:
    """The JSON schemas of an operator's parameters and the names of those without a default.

    They are those of its own ``__init__`` and of the classes that it derives from, as Data-Juicer's own check has it.
    """
    from data_juicer.core.preflight import _get_valid_params

    hints: dict[str, Any] = {}
    for each in reversed(operator.__mro__[:-1]):
        if "__init__" in vars(each):
            hints |= hints_of(each.__init__)
    properties = {name: schema_of(hints.get(name, kind)) for name, kind in _get_valid_params(operator).items()}
    given = list(inspect.signature(operator.__init__).parameters.values())[1:]
    needed = [each.name for each in given if each.default is each.empty and each.kind not in NO_VALUES]
    return {"properties": properties, **({"required": needed} if needed else {})}


def hints_of(function: Any) -> dict[str, Any]:
    """The types of a function's parameters; none where they can't be found out."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError:  # a name that is imported for type checkers only
        return {}


def operators() -> dict[str, dict[str, Any] | None]:
    """The parameters of each operator; None of one that no recipe here may use, or that can't be imported."""
    from data_juicer.ops.base_op import OPERATORS

    found: dict[str, dict[str, Any] | None] = {}
    for name in sorted(operator_modules()):
        found[name] = None
        if not out_of_place(name, []):
            try:
                import_operator(name, "")
                found[name] = parameters_of(OPERATORS.modules[name])
            except (UserError, KeyError):
                continue
    return found


def has(parameters: dict[str, Any], key: str, kind: dict[str, Any]) -> bool:
    """Whether a parameter of an operator is there and of a kind."""
    return parameters["properties"].get(key) == kind


def table() -> str:
    """The text of the file, an operator a line."""
    with tempfile.TemporaryDirectory() as produced:
        prepare_data_juicer(Path(produced))
        found = operators()
    made = [each for each in found.values() if each]
    shared = {key: kind for key, kind in made[0]["properties"].items() if all(has(each, key, kind) for each in made)}
    for each in made:
        each["properties"] = {key: kind for key, kind in each["properties"].items() if key not in shared}
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(each)}" for name, each in found.items())
    return (
        f'{{\n  "data_juicer": {json.dumps(version("py-data-juicer"))},\n  "shared": {json.dumps(shared)},\n'
        f'  "operators": {{\n{lines}\n  }}\n}}\n'
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        sys.stdout.write(table())
    else:
        TABLE.write_text(table(), encoding="utf-8")
