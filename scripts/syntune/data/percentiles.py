"""Percentiles of a statistic over all chunks of a stage: the first pass, of numbers alone."""

from array import array
from pathlib import Path

from syntune.artifacts.reports import read_report
from syntune.data.thresholds import numbers, stat_for
from syntune.errors import UserError
from syntune.files import read_jsonl, write_json
from syntune.recipes.model_parameters import MODEL_OPERATORS
from syntune.recipes.percentiles import Percentile, Percentiles
from syntune.recipes.stages import SCORE_FILTER, Stage


def find_percentiles(stage: Stage, chunks: list[Path], output: Path) -> None:
    """Write the values of the percentiles that a stage's first operator names.

    A row of several images counts with the number of each. Between two values the percentile lies on the line that
    joins them, as numpy's does. The rows' files are streamed; memory holds eight bytes a number.

    Raises:
        UserError: it cannot be told which statistic a threshold is about, or no row has it.
    """
    import numpy as np

    stats = _stats(stage, [chunk.with_suffix(".json") for chunk in chunks])
    values = {stat: array("d") for stat in stats.values()}
    rows = 0
    for chunk in chunks:
        for row in read_jsonl(chunk):
            rows += 1
            for stat, seen in values.items():
                seen.extend(numbers(row.get("stats", {}).get(stat)))
    found = {}
    for parameter, text in stage.percentiles.items() if rows else ():
        seen = values[stats[parameter]]
        if not seen:
            raise UserError(f"{parameter}: {text}: no row has the statistic {stats[parameter]}; give a number")
        value = float(np.percentile(np.frombuffer(seen), float(text.removesuffix("%"))))
        found[parameter] = Percentile(percentile=text, stat=stats[parameter], value=value, values=len(seen))
    write_json(output, Percentiles(thresholds=found).as_written())


def _stats(stage: Stage, reports: list[Path]) -> dict[str, str]:
    """The statistic that each of the stage's percentiles is about."""
    name, parameters = stage.operators[0]
    if name == SCORE_FILTER:
        return dict.fromkeys(stage.percentiles, parameters["stat"])
    if name in MODEL_OPERATORS:
        limits = MODEL_OPERATORS[name].model_validate(parameters).limits()
        return {parameter: limits[parameter][0] for parameter in stage.percentiles}
    read = [read_report(report).stats_of.get(name) for report in reports]
    computed = next(filter(None, read), [])
    found = {parameter: stat_for(parameter, computed) for parameter in stage.percentiles}
    for parameter, stat in found.items():
        if stat is None and computed:
            raise UserError(
                f"{name}: {parameter}: a percentile of which statistic ({', '.join(computed)})? give a number"
            )
    return {parameter: stat or "" for parameter, stat in found.items()}
