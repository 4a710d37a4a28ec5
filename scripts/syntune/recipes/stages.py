"""A recipe cut into stages: consecutive operators that run in the same way.

| kind | operators | runs |
|---|---|---|
| rows | mappers and filters | chunk by chunk |
| models | those of ``MODEL_OPERATORS`` | chunk by chunk, on a GPU |
| global | names ending ``_deduplicator`` or ``_selector`` | once, over the columns that it needs of all chunks |

Three operators are written into the stages and stand in no recipe:

- ``score_filter: {operator, stat, thresholds...}`` applies the thresholds of a model filter. The models stage before it
  only computes the scores, so that another threshold scores nothing anew.
- ``stats_of: {FILTER: parameters}`` computes a filter's statistics and drops nothing, where a threshold is a percentile
  such as ``25%``. The filter itself then begins a stage: the rule ``percentiles`` finds the numbers in between.
- ``columns_of: {OPERATOR: parameters}`` computes, chunk by chunk, the hashes that a global operator compares.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from syntune.errors import UserError
from syntune.recipes.model_parameters import MODEL_OPERATORS
from syntune.recipes.parameters import check_parameters
from syntune.recipes.reading import Recipe
from syntune.recipes.refused import reason_to_refuse
from syntune.settings.reading import read_settings

ROWS, MODELS, GLOBAL = "rows", "models", "global"

SCORE_FILTER, STATS_OF, COLUMNS_OF = "score_filter", "stats_of", "columns_of"

_PERCENTILE = re.compile(r"\d{1,2}(\.\d+)?%|100%")


class Stage(NamedTuple):
    """Operators that run together; ``number`` counts from 1."""

    number: int
    kind: str
    operators: Recipe

    @property
    def percentiles(self) -> dict[str, str]:
        """The thresholds of its first operator that are percentiles, as ``{"min_score": "25%"}``."""
        return percentiles_in(*self.operators[0])


def stages_of(recipe: Recipe, source: str) -> list[Stage]:
    """Cut a recipe into stages.

    Raises:
        UserError: the parameters of an operator are wrong, or it has no place in a workflow; the message begins with
            ``source``.
    """
    parts: list[tuple[str, Recipe]] = []
    for index, (name, parameters) in enumerate(recipe):
        for kind, operator in _compiled(name, parameters, f"{source}: process[{index}].{name}"):
            if parts and parts[-1][0] == kind and not percentiles_in(*operator):
                parts[-1][1].append(operator)
            else:
                parts.append((kind, [operator]))
    parts = _with_columns(parts)
    return [Stage(number, kind, operators) for number, (kind, operators) in enumerate(parts, start=1)]


def kind_of(name: str) -> str:
    """In which kind of stage an operator runs."""
    if name in MODEL_OPERATORS:
        return MODELS
    return GLOBAL if name.endswith(("_deduplicator", "_selector")) else ROWS


def percentiles_in(name: str, parameters: dict[str, Any]) -> dict[str, str]:
    """Those thresholds of a filter or a model operator that are percentiles."""
    if name in MODEL_OPERATORS:
        limits = MODEL_OPERATORS[name].model_validate(parameters).limits()
        values: dict[str, Any] = {key: threshold for key, (_, threshold) in limits.items()}
    else:
        values = parameters if name.endswith("_filter") else {}
    return {key: value for key, value in values.items() if isinstance(value, str) and _PERCENTILE.fullmatch(value)}


def _compiled(name: str, parameters: dict[str, Any], where: str) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """The operators that one of a recipe becomes, each with its kind."""
    kind = kind_of(name)
    if kind != MODELS and (reason := reason_to_refuse(name, list(MODEL_OPERATORS))):
        raise UserError(f"{where}: {reason}")
    if kind == MODELS:
        yield from _compiled_model(name, parameters, where)
        return
    percentiles = percentiles_in(name, parameters)
    rest = {key: value for key, value in parameters.items() if key not in percentiles}
    check_parameters(name, rest | dict.fromkeys(percentiles), where)
    if percentiles:
        yield ROWS, (STATS_OF, {name: rest})
        yield ROWS, (name, parameters)
    else:
        yield kind, (name, parameters)


def _compiled_model(
    name: str, parameters: dict[str, Any], where: str
) -> Iterator[tuple[str, tuple[str, dict[str, Any]]]]:
    """A model operator and, where it is a filter, what applies its thresholds."""
    read = read_settings(parameters, MODEL_OPERATORS[name], where)
    if read.stat is None:
        yield MODELS, (name, parameters)
        return
    yield MODELS, (name, read.for_scoring())
    thresholds = {key: threshold for key, (_, threshold) in read.limits().items()}
    if thresholds:
        deciding = {key: getattr(read, key) for key in read.deciding}
        yield ROWS, (SCORE_FILTER, {"operator": name, "stat": read.stat, **thresholds, **deciding})


def _with_columns(parts: list[tuple[str, Recipe]]) -> list[tuple[str, Recipe]]:
    """Let the stage before each global one compute what its operators compare; a rows stage is put in where needed."""
    complete: list[tuple[str, Recipe]] = []
    for kind, operators in parts:
        if kind == GLOBAL:
            columns = [(COLUMNS_OF, {name: _of_columns(name, parameters)}) for name, parameters in operators]
            if complete and complete[-1][0] == ROWS:
                complete[-1][1].extend(columns)
            else:
                complete.append((ROWS, columns))
        complete.append((kind, operators))
    return complete


def _of_columns(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """The parameters that the columns of a global operator depend on: Data-Juicer's selectors name a field at most."""
    return {key: parameters[key] for key in parameters if key == "field_key"} if chooses_by_field(name) else parameters


def chooses_by_field(name: str) -> bool:
    """Whether a selector looks at one field of the rows at most, and computes nothing: most of Data-Juicer's."""
    return name == "random_selector" or name.endswith("_specified_field_selector")
