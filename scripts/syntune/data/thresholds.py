"""Which statistic decided that a filter drops a row, and at which of its thresholds."""

import inspect
from typing import Any, NamedTuple

_LOWER, _UPPER = "min_", "max_"


class Threshold(NamedTuple):
    """A bound of a filter; ``parameter`` is its name in the recipe."""

    parameter: str
    value: float
    is_lower: bool

    def is_crossed(self, number: float) -> bool:
        """Whether a statistic lies outside."""
        return number < self.value if self.is_lower else number > self.value


class Decision(NamedTuple):
    """The statistic and its value, and the threshold where one was found to be crossed."""

    stat: str | None = None
    value: float | None = None
    threshold: Threshold | None = None


def thresholds_of(operator: type, parameters: dict[str, Any]) -> list[Threshold]:
    """A filter's numeric thresholds: those of the recipe, and the defaults of the others."""
    given = {
        name: parameter.default
        for owner in reversed(operator.__mro__)
        if "__init__" in owner.__dict__
        for name, parameter in inspect.signature(owner.__init__).parameters.items()
    } | parameters
    return [
        Threshold(name, value, name.startswith(_LOWER))
        for name, value in given.items()
        if name.startswith((_LOWER, _UPPER)) and isinstance(value, int | float) and not isinstance(value, bool)
    ]


def stat_for(parameter: str, stats: list[str]) -> str | None:
    """The statistic that a threshold bounds: the only one or, of several, the one whose name ends as it does.

    ``min_width`` bounds ``image_width``, not ``image_height``.
    """
    if len(stats) == 1:
        return stats[0]
    ending = parameter.removeprefix(_LOWER).removeprefix(_UPPER)
    fitting = [stat for stat in stats if stat == ending or stat.endswith(f"_{ending}")]
    return fitting[0] if len(fitting) == 1 else None


def decision(stats: dict[str, Any], names: list[str], thresholds: list[Threshold]) -> Decision:
    """What decided about a row that a filter dropped.

    Args:
        stats: the row's statistics; one of several images is a list.
        names: the statistics that the filter computes.
        thresholds: its thresholds.
    """
    for threshold in thresholds:
        name = stat_for(threshold.parameter, names)
        for number in numbers(stats.get(name)) if name else []:
            if threshold.is_crossed(number):
                return Decision(name, number, threshold)
    for name in names:
        for number in numbers(stats.get(name)):
            return Decision(name, number)
    return Decision()


def numbers(value: Any) -> list[float]:
    """The numbers of a statistic: itself, or those of a list."""
    values = value if isinstance(value, list) else [value]
    return [float(number) for number in values if isinstance(number, int | float) and not isinstance(number, bool)]
