"""The page's tables of training, a column for each run: figures, parameters, settings, health checks."""

from collections.abc import Callable, Sequence
from typing import Any

from syntune import formats
from syntune.artifacts.training_records import TrainingSummary
from syntune.reporting.cells import Cell, Table, headings, num, run_cell
from syntune.reporting.learning import passed
from syntune.reporting.palette import run_colours
from syntune.reporting.records import Records
from syntune.settings.flattening import flat
from syntune.settings.methods import METHODS

_DOES_NOT_APPLY = "–"
_FORETOLD = ("training time, as planned", "peak memory, as planned")
"""The lines that hold the plan's predictions beside what was recorded; not there where nothing could be predicted."""

_LEARNED = {"ok": "yes", "failed": "no", "warning": "cannot be told"}
"""What the check ``learned`` says of a run."""


def _by_run(caption: str, records: Records, lines: Sequence[tuple[str, Callable[[TrainingSummary], str]]]) -> Table:
    """A table with a column for each trained run."""
    summaries = list(records.summaries.values())
    columns = [Cell(""), *(num(run.run, colour=run_colours(records).get(run.run)) for run in summaries)]
    rows = [[Cell(label), *(num(value(summary)) for summary in summaries)] for label, value in lines]
    return Table(caption, columns, rows)


def training(records: Records) -> Table:
    """What each run did."""
    lines = [
        ("method", lambda run: run.method or formats.NOT_RECORDED),
        ("rows trained on", lambda run: formats.count(run.rows)),
        ("rows that no step took", lambda run: formats.count(run.rows_left_over)),
        ("rows without supervision", lambda run: formats.count(run.masked_rows)),
        ("optimizer steps", lambda run: formats.count(run.steps)),
        ("epochs", lambda run: formats.number(run.epochs)),
        ("first loss", lambda run: formats.number(run.first_loss, 4)),
        ("final loss", lambda run: formats.number(run.final_loss, 4)),
        ("learned", lambda run: _LEARNED.get(run.learned or "", formats.NOT_RECORDED)),
        ("training time", lambda run: formats.duration(run.seconds)),
        (_FORETOLD[0], lambda run: _foretold_time(records, run)),
        ("samples a second", lambda run: formats.number(run.samples_per_second)),
        ("tokens a second", lambda run: formats.count(run.tokens_per_second)),
        ("peak memory", _memory),
        (_FORETOLD[1], lambda run: _foretold_memory(records, run)),
        ("device", lambda run: run.device or formats.NOT_RECORDED),
        ("precision", lambda run: run.precision or formats.NOT_RECORDED),
        ("attention", lambda run: run.attention or formats.NOT_RECORDED),
        ("resumed from", lambda run: "started afresh" if run.resumed_from is None else f"step {run.resumed_from}"),
    ]
    return _by_run("Training runs", records, [line for line in lines if records.foretold or line[0] not in _FORETOLD])


def _memory(summary: TrainingSummary) -> str:
    """Peak memory and what was measured."""
    kind = f" ({summary.memory.kind})" if summary.memory.kind else ""
    return formats.gibibytes(summary.memory.peak_gib) + kind


def _foretold_time(records: Records, summary: TrainingSummary) -> str:
    """The time that the plan foretells, and how far that is off."""
    foretold = records.foretold.get(summary.run)
    if foretold is None or foretold.seconds is None:
        return _DOES_NOT_APPLY
    return formats.duration(foretold.seconds) + _off(foretold.seconds, summary.seconds)


def _foretold_memory(records: Records, summary: TrainingSummary) -> str:
    """The same of the peak memory."""
    foretold = records.foretold.get(summary.run)
    if foretold is None:
        return _DOES_NOT_APPLY
    return formats.gibibytes(foretold.peak_gib) + _off(foretold.peak_gib, summary.memory.peak_gib)


def _off(foretold: float, recorded: float | None) -> str:
    """How far a prediction is off, in percent of what was recorded."""
    return f" ({formats.in_percent(foretold / recorded - 1, 0, '+')}%)" if recorded else ""


def parameters(records: Records) -> Table:
    """Parameters of each run's model."""
    lines = [
        ("total", lambda run: formats.count(run.parameters.total)),
        ("trainable", lambda run: formats.count(run.parameters.trainable)),
        ("trainable share", _trainable_share),
        ("in LoRA adapters", lambda run: formats.count(run.parameters.lora)),
        ("trained beside LoRA", lambda run: formats.count(run.parameters.beside_lora)),
    ]
    return _by_run("Parameters", records, lines)


def _trainable_share(summary: TrainingSummary) -> str:
    """Trainable parameters of all."""
    total, trainable = summary.parameters.total, summary.parameters.trainable
    return formats.percent(trainable / total if total and trainable is not None else None, 2)


def hyperparameters(records: Records) -> Table:
    """Settings that apply to some run; rows in which the runs differ are marked."""
    recorded = {run: flat(summary.hyperparameters) for run, summary in records.summaries.items()}
    shown = {
        run: {key: formats.plain(value) for key, value in own.items() if _applies(key, value, records.summaries[run])}
        for run, own in recorded.items()
    }
    columns = [Cell("setting"), *(num(run, colour=run_colours(records).get(run)) for run in shown)]
    rows = []
    for key in dict.fromkeys(key for own in shown.values() for key in own):
        absent = {run: _DOES_NOT_APPLY if key in recorded[run] else formats.NOT_RECORDED for run in shown}
        values = [own.get(key, absent[run]) for run, own in shown.items()]
        level = "differs" if len(set(values)) > 1 else None
        rows.append([Cell(key.replace("_", " "), level=level), *(num(value) for value in values)])
    return Table("Hyperparameters", columns, rows)


def _applies(key: str, value: Any, run: TrainingSummary) -> bool:
    """Whether a setting means something for a run: it is set, and the method and the number of GPUs use it."""
    gpus, method = run.hyperparameters.get("gpus"), METHODS.get(run.method or "")
    writes = method.writes if method else None
    needs = {
        "lora": writes in ("adapter", None),
        "train_vision": writes in ("model", None),
        "cuda_kernels": gpus != 0,
        "timeout": gpus not in (0, 1),
    }
    return value is not None and needs.get(key.split(".")[0], True)


def checks(records: Records) -> Table:
    """Every health check of every run."""
    rows = []
    for run, summary in records.summaries.items():
        for check in summary.verdicts:
            level = "good" if passed(check.status) else "look" if check.status.lower() == "warning" else "bad"
            status = Cell(check.status, level=level)
            rows.append([run_cell(records, run), Cell(check.name.replace("_", " ")), status, Cell(check.detail)])
    return Table("Health checks", headings("run | check | status | detail"), rows)
