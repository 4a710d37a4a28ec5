"""Colours of runs: one for each, the same in every figure and table; lines beyond the first eight are also dashed."""

from syntune.pages.colours import RUNS


def run_colours(runs: list[str]) -> dict[str, str]:
    """The colour's name for each run."""
    names = list(RUNS)
    return {run: names[index % len(names)] for index, run in enumerate(runs)}


def run_dashes(runs: list[str]) -> dict[str, str]:
    """The line style for each run: solid until the colours repeat."""
    styles = ("solid", (0, (5, 2)), (0, (1, 1.5)))
    return {run: styles[index // len(RUNS) % len(styles)] for index, run in enumerate(runs)}
