"""Parameters of a recipe's operators, checked without Data-Juicer: a wrong one is told before anything runs."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from syntune.errors import UserError, one_line
from syntune.recipes.names import operator_table


def check_parameters(name: str, parameters: Mapping[str, Any], where: str) -> None:
    """Refuse a parameter that an operator has not, that is missing, or whose value is of another type.

    What an operator wants beyond its types it says as it is made. An operator of which nothing is known is passed over.

    Raises:
        UserError: names the parameter; the message begins with ``where``.
    """
    known = operator_table()["operators"].get(name)
    if known is None:
        return
    own, all_have = known["properties"], operator_table()["shared"]
    for key, value in parameters.items():
        if key not in own and key not in all_have:
            raise UserError(f"{where}: {key}: unknown parameter; {_advice(str(key), list(own), list(all_have))}")
        if value is not None and (fault := _fault(value, own.get(key, all_have.get(key)))):
            raise UserError(f"{where}: {key}: {fault}")
    for key in known.get("required", []):
        if key not in parameters:
            raise UserError(f"{where}: {key}: is missing")


def _advice(key: str, own: list[str], all_have: list[str]) -> str:
    """The parameter that is meant, or those that the operator has."""
    if near := get_close_matches(key, own, n=1) or get_close_matches(key, all_have, n=1, cutoff=0.8):
        return f"did you mean '{near[0]}'?"
    return f"known: {', '.join(own)}" if own else "it has none of its own"


def _fault(value: Any, schema: dict[str, Any]) -> str | None:
    """What is wrong with a value by its JSON schema; None if nothing is."""
    from jsonschema import Draft202012Validator  # here, for the jobs of a recipe check no parameters
    from jsonschema.exceptions import best_match

    error = best_match(Draft202012Validator(schema).iter_errors(value))
    if error is None:
        return None
    is_unquoted = isinstance(error.instance, bool) and error.validator == "type" and "string" in error.validator_value
    return one_line(error.message) + ("; quote yes and no" if is_unquoted else "")
