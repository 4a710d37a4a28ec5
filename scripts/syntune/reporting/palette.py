"""Colours of runs: one for each, the same in every figure and table; lines beyond the first eight are also dashed."""

from syntune.pages.colours import RUNS, run_colour
from syntune.reporting.records import Records


def run_colours(records: Records) -> dict[str, str]:
    """The colour's name for each training: its run's."""
    colours = {run: run_colour(place) for place, run in enumerate(records.runs)}
    return {training: colours[records.comparison.run_of(training)] for training in records.trainings}


def run_dashes(records: Records) -> dict[str, str]:
    """The line style for each training: solid until the colours repeat."""
    styles = ("solid", (0, (5, 2)), (0, (1, 1.5)))
    dashes = {run: styles[index // len(RUNS) % len(styles)] for index, run in enumerate(records.runs)}
    return {training: dashes[records.comparison.run_of(training)] for training in records.trainings}
