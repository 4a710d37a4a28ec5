"""A rows stage on one chunk: a batch of rows at a time goes through all of its operators."""

import logging
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from syntune.artifacts.lineage import ADDED, CHANGED, DROPPED, Event, LineageWriter
from syntune.batches import in_batches
from syntune.data import juicer
from syntune.data.accounts import EMPTY, Step
from syntune.data.juicer import STATS, load_operator
from syntune.data.synthetic_rows import BATCH, Row, as_line, derived_ids, derived_in, read_rows
from syntune.data.thresholds import Decision, Threshold, decision, numbers, thresholds_of
from syntune.errors import UserError
from syntune.files import atomic_file, sha256_file
from syntune.recipes.model_parameters import MODEL_OPERATORS
from syntune.recipes.percentiles import Percentile, limit_text, resolved
from syntune.recipes.reading import Recipe
from syntune.recipes.stages import SCORE_FILTER, STATS_OF

log = logging.getLogger("synthesize")

Percentiles = dict[str, Percentile]
Taken = Callable[[], set[str]]


class Executor(NamedTuple):
    """How operators are called: within this process, or through Ray."""

    map_rows: Callable[[Any, list[Row]], list[Row]]
    compute_stats: Callable[[Any, list[Row]], None]
    batch: int | None


IN_PROCESS = Executor(juicer.map_rows, juicer.compute_stats, BATCH)


def executor_named(name: str) -> Executor:
    """The executor that a dataset's settings name."""
    if name == "ray":
        from syntune.data import ray_executor

        return Executor(ray_executor.map_rows, ray_executor.compute_stats, None)
    return IN_PROCESS


class SynthesizedChunk(NamedTuple):
    """What a stage did to a chunk."""

    rows_in: int
    rows_out: int
    steps: list[Step]
    stats_of: dict[str, list[str]]
    makes_images: bool


def synthesize_chunk(
    operators: Recipe,
    percentiles: Percentiles,
    rows: Path,
    output: Path,
    lineage: Path,
    *,
    where: str,
    executor: Executor = IN_PROCESS,
) -> SynthesizedChunk:
    """Run a rows stage's operators on one chunk; a chunk may end up empty, a dataset may not.

    Args:
        operators: the stage's, without its ``columns_of``.
        percentiles: the thresholds of the first operator that are percentiles.
        rows: the chunk that the stage before made, or the seed's.
        output: the rows to write.
        lineage: the events to write.
        where: what messages about the recipe begin with.
        executor: how operators are called.

    Raises:
        UserError: the recipe is wrong or an operator failed.
    """
    taken = cache(partial(derived_in, rows))  # read where a row is added, once
    applied = [
        _applied(name, parameters, percentiles if index == 0 else {}, where, executor, taken)
        for index, (name, parameters) in enumerate(operators)
    ]
    images = _Images()
    empty = Step(EMPTY)
    rows_in = rows_out = 0
    with (
        atomic_file(output) as rows_file,
        atomic_file(lineage) as lineage_file,
        rows_file.open("w", encoding="utf-8") as lines,
        LineageWriter(lineage_file) as told,
    ):
        for batch in in_batches(read_rows(rows), executor.batch):
            rows_in += len(batch)
            images.remember(batch)
            for operator in applied:
                batch = operator.apply(batch, told) if batch else []
            kept = [row for row in batch if row["text"] and row["text"].strip()]
            empty = empty.plus(Step(EMPTY, len(batch), 0, len(batch) - len(kept), len(kept)))
            if len(kept) < len(batch):
                told.tell(_event(row, EMPTY, DROPPED) for row in batch if not (row["text"] or "").strip())
            images.hash(kept)
            lines.writelines(map(as_line, kept))
            rows_out += len(kept)
    steps = [operator.step for operator in applied if operator.step is not None]
    for step in steps:
        log.info("%s: %d rows in, %d added, %d dropped, %d rows out", *step)
    stats_of = {operator.name: operator.stats for operator in applied if isinstance(operator, _Stats)}
    return SynthesizedChunk(rows_in, rows_out, steps + ([empty] if empty.dropped else []), stats_of, images.made)


class _Operator(Protocol):
    """An operator of the stage; ``step`` counts what it did, None for one that only computes."""

    step: Step | None

    def apply(self, rows: list[Row], told: LineageWriter) -> list[Row]:
        """The rows that it leaves of a batch."""


def _applied(
    name: str, parameters: dict[str, Any], percentiles: Percentiles, where: str, executor: Executor, taken: Taken
) -> _Operator:
    """An operator of a stage, ready to be applied; ``taken`` tells ids that rows which are added can't get."""
    if name == SCORE_FILTER:
        return _ScoreFilter(resolved(parameters, percentiles), percentiles)
    if name == STATS_OF:
        name, parameters = next(iter(parameters.items()))
        return _Stats(name, load_operator(name, parameters, where), executor)
    values = {key: percentile.value for key, percentile in percentiles.items()}
    operator = load_operator(name, {key: parameters[key] for key in parameters.keys() - values}, where, values)
    if juicer.is_mapper(operator):
        return _Mapper(name, operator, executor, taken)
    return _Filter(name, operator, thresholds_of(type(operator), parameters | values), percentiles, executor)


def _event(row: Row, operator: str, event: str, *decided: Any) -> Event:
    """An event of a row."""
    return Event(row["seed_id"], row["id"], operator, event, *decided)


class _Mapper:
    """Changes, adds or drops rows; a row that it adds repeats its parent's id and gets its own."""

    def __init__(self, name: str, operator: Any, executor: Executor, taken: Taken) -> None:
        """``operator`` is Data-Juicer's or ours; ``taken`` tells the ids of added rows in the whole chunk."""
        self.name, self.operator, self.executor, self.taken = name, operator, executor, taken
        self.step = Step(name)

    def apply(self, rows: list[Row], told: LineageWriter) -> list[Row]:
        """Map a batch; a changed row's statistics describe it no more and go, all but those that the mapper gave it."""
        before = {row["id"]: (row["text"], list(row["images"]), row["seed_id"], set(row[STATS])) for row in rows}
        made = self.executor.map_rows(self.operator, [dict(row, images=list(row["images"])) for row in rows])
        seen: set[str] = set()
        events = []
        for row in made:
            if row.get("id") not in before:
                raise UserError(f"operator {self.name} failed: a row that it made has the id of no row")
            text, images, row["seed_id"], stats = before[row["id"]]
            own = {name: value for name, value in row[STATS].items() if name not in stats}
            if row["id"] in seen:
                row["id"] = next(derived_ids(row["id"], self.name, self.taken()))
                row[STATS] = own
                events.append(_event(row, self.name, ADDED))
            else:
                seen.add(row["id"])
                if (row["text"], row["images"]) != (text, images):
                    row[STATS] = own
                    events.append(_event(row, self.name, CHANGED))
        gone = [row for row in rows if row["id"] not in seen]
        told.tell(events + [_event(row, self.name, DROPPED) for row in gone])
        added = len(made) - len(seen)
        self.step = self.step.plus(Step(self.name, len(rows), added, len(gone), len(made)))
        return made


class _Filter:
    """Drops rows by statistics that it computes."""

    def __init__(
        self, name: str, operator: Any, thresholds: list[Threshold], percentiles: Percentiles, executor: Executor
    ) -> None:
        """``thresholds`` are the operator's, for the lineage to name."""
        self.name, self.operator, self.executor = name, operator, executor
        self.thresholds, self.percentiles = thresholds, percentiles
        self.stats: list[str] | None = None
        self.step = Step(name)

    def apply(self, rows: list[Row], told: LineageWriter) -> list[Row]:
        """Filter a batch."""
        if self.stats is None:
            self.stats = stats_computed(self.operator, rows[0])
        self.executor.compute_stats(self.operator, rows)
        kept = juicer.decide(self.operator, rows)
        gone = [row for row, keep in zip(rows, kept, strict=True) if not keep]
        decisions = [decision(row[STATS], self.stats, self.thresholds) for row in gone]
        told.tell(
            _event(row, self.name, DROPPED, *_as_columns(decided, self.percentiles))
            for row, decided in zip(gone, decisions, strict=True)
        )
        self.step = self.step.plus(Step(self.name, len(rows), 0, len(gone), len(rows) - len(gone)))
        return [row for row, keep in zip(rows, kept, strict=True) if keep]


class _ScoreFilter:
    """Drops rows by a model's scores: of several images one, or with ``any_or_all: all`` each, must lie within."""

    def __init__(self, parameters: dict[str, Any], percentiles: Percentiles) -> None:
        """``parameters`` are those of ``score_filter``."""
        self.name, self.stat, self.percentiles = parameters["operator"], parameters["stat"], percentiles
        senses = MODEL_OPERATORS[self.name].thresholds
        self.thresholds = [
            Threshold(name, parameters[name], sense == "min") for name, sense in senses.items() if name in parameters
        ]
        self.enough = all if parameters.get("any_or_all") == "all" else any
        self.step = Step(self.name)

    def apply(self, rows: list[Row], told: LineageWriter) -> list[Row]:
        """Filter a batch; a row without images has no score and stays."""
        kept = []
        for row in rows:
            if row[STATS].get(self.stat) is None:
                raise UserError(f"operator {self.name}: row {row['id']} has no {self.stat}; run its models stage again")
            scores = numbers(row[STATS][self.stat])
            within = [not any(bound.is_crossed(score) for bound in self.thresholds) for score in scores]
            if not within or self.enough(within):
                kept.append(row)
            else:
                decided = decision(row[STATS], [self.stat], self.thresholds)
                told.tell([_event(row, self.name, DROPPED, *_as_columns(decided, self.percentiles))])
        self.step = self.step.plus(Step(self.name, len(rows), 0, len(rows) - len(kept), len(kept)))
        return kept


class _Stats:
    """Computes a filter's statistics and drops nothing."""

    step = None

    def __init__(self, name: str, operator: Any, executor: Executor) -> None:
        """``name`` is the filter's."""
        self.name, self.operator, self.executor = name, operator, executor
        self.stats: list[str] = []

    def apply(self, rows: list[Row], told: LineageWriter) -> list[Row]:
        """Add the statistics to a batch."""
        self.stats = self.stats or stats_computed(self.operator, rows[0])
        self.executor.compute_stats(self.operator, rows)
        return rows


def stats_computed(operator: Any, row: Row) -> list[str]:
    """The names of the statistics that a filter computes, seen on a row."""
    probe = dict(row, **{STATS: {}})
    juicer.compute_stats(operator, [probe])
    return list(probe[STATS])


def _as_columns(decided: Decision, percentiles: Percentiles) -> tuple[str | None, float | None, str | None]:
    """The last columns of the lineage."""
    threshold = decided.threshold
    limit = limit_text(threshold.parameter, threshold.value, percentiles) if threshold else None
    return decided.stat, decided.value, limit


class _Images:
    """The hashes of the rows' images, and of those that an operator makes."""

    def __init__(self) -> None:
        """None known yet."""
        self.known: dict[str, str] = {}
        self.made = False

    def remember(self, rows: list[Row]) -> None:
        """Know the images of a batch, and no others: they are a batch's concern."""
        pairs = (pair for row in rows for pair in zip(row["images"], row["image_sha256"], strict=True))
        self.known = dict(pairs)

    def hash(self, rows: list[Row]) -> None:
        """Set each row's hashes by its images."""
        for row in rows:
            for path in row["images"]:
                if path not in self.known:
                    self.known[path] = sha256_file(path)
                    self.made = True
            row["image_sha256"] = [self.known[path] for path in row["images"]]
