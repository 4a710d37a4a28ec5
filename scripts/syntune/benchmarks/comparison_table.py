"""The comparison as a table of tab-separated values, and as text for a terminal."""

from textwrap import wrap

from syntune.artifacts.comparison import ComparedBenchmark, ComparedDifference, ComparedRun, Comparison
from syntune.artifacts.scores import Interval
from syntune.formats import in_percent, p_value

COLUMNS = (
    "benchmark", "metric", "run", "score", "stderr", "low", "high", "trainings", "spread", "lowest", "highest", "n",
    "clusters", "beside", "difference", "difference_stderr", "difference_low", "difference_high", "p_value",
    "questions_needed", "detectable_difference", "trained_once", "not_scored",
)  # fmt: skip
RUNS = ("run", "score", "stderr", "95% interval")
REPLICATED = ("trainings", "sd between", "lowest to highest")
DIFFERENCES = ("difference", "points", "95% interval", "p", "questions needed", "interval over")
LEFT_ALIGNED = 1
GAP = "  "
TINY_P = "<0.001"
WIDTH = 110
NO_ENDS = (None, None)


def tab_separated(comparison: Comparison) -> str:
    """A line for each benchmark, run and run that it is compared with, and one for a run without any.

    Scores and differences are in percent, with all their digits; cells are empty where there is nothing. A run that is
    not scored has a line with the reason.
    """
    lines = ["\t".join(COLUMNS)]
    for name, benchmark in comparison.benchmarks.items():
        for run, row in benchmark.runs.items():
            scores = list(row.trainings.values())
            cells = (
                name, benchmark.metric, run, _digits(row.value), _digits(row.stderr),
                *map(_digits, row.interval or NO_ENDS), str(len(scores)), _digits(row.spread), _digits(min(scores)),
                _digits(max(scores)), str(benchmark.n), str(benchmark.clusters),
            )  # fmt: skip
            for difference in benchmark.differences_of(run) or [None]:
                lines.append("\t".join((*cells, *_difference_cells(difference), "")))
    for name, reasons in comparison.not_scored.items():
        metric = comparison.benchmarks[name].metric if name in comparison.benchmarks else ""
        for run, reason in _by_run(comparison, reasons).items():
            empty = ("",) * (len(COLUMNS) - 4)
            lines.append("\t".join((name, metric, run, *empty, " ".join(reason.split()))))
    return "\n".join(lines) + "\n"


def _by_run(comparison: Comparison, reasons: dict[str, str]) -> dict[str, str]:
    """Why each run is not scored: the reason of its first training that isn't, named where that is a further one."""
    told: dict[str, str] = {}
    for training, reason in reasons.items():
        run = comparison.run_of(training)
        told.setdefault(run, reason if run == training else f"{training}: {reason}")
    return told


def _difference_cells(difference: ComparedDifference | None) -> tuple[str, ...]:
    """The cells from ``beside`` to ``trained_once``."""
    if difference is None:
        return ("",) * (COLUMNS.index("not_scored") - COLUMNS.index("beside"))
    return (
        difference.beside, _digits(difference.difference), _digits(difference.stderr),
        *map(_digits, difference.interval or NO_ENDS), _digits(difference.p_value, 1),
        "" if difference.questions_needed is None else str(difference.questions_needed),
        _digits(difference.detectable_difference), ",".join(difference.trained_once),
    )  # fmt: skip


def _digits(share: float | None, times: int = 100) -> str:
    """A share of 1 in percent, with all the digits that it carries."""
    return "" if share is None else f"{times * share:.15g}"


def plain_text(comparison: Comparison) -> str:
    """A block for each benchmark, at most 110 columns wide for names of ordinary length."""
    names = dict.fromkeys([*comparison.benchmarks, *comparison.not_scored])
    return "\n\n".join("\n".join(_told(comparison, name)) for name in names) + "\n"


def _told(comparison: Comparison, name: str) -> list[str]:
    """The lines of a benchmark: the runs that are scored, then those that are not."""
    lines = [_block(name, comparison.benchmarks[name])] if name in comparison.benchmarks else [name]
    for run, reason in _by_run(comparison, comparison.not_scored.get(name, {})).items():
        lines += ["", *wrap(f"{run} is not scored: {reason}", WIDTH, subsequent_indent=GAP)]
    return lines


def _block(name: str, benchmark: ComparedBenchmark) -> str:
    """A benchmark's heading, its runs and its majority answer, then its differences; columns aligned."""
    majority, replicated = benchmark.majority, any(row.spread is not None for row in benchmark.runs.values())
    runs = [RUNS + REPLICATED if replicated else RUNS]
    runs += [_run_row(run, row, replicated) for run, row in benchmark.runs.items()]
    runs.append(("majority answer", in_percent(majority.majority), "", f'"{_short(majority.answer)}"'))
    parts = [*_heading(name, benchmark), *_table(runs, last=1)]
    if benchmark.differences:
        differences = [_difference_row(difference) for difference in benchmark.differences]
        parts += ["", *_table([DIFFERENCES, *differences])]
    return "\n".join(parts)


def _table(rows: list[tuple[str, ...]], last: int = 0) -> list[str]:
    """The lines of a table: headings, rows and, set off, the ``last`` ones."""
    rows = [tuple(row) + ("",) * (len(rows[0]) - len(row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    rule = "-" * max(map(len, lines))
    body = lines[1 : len(lines) - last]
    return [rule, lines[0], rule, *body, *([rule, *lines[-last:]] if last else [])]


def _heading(name: str, benchmark: ComparedBenchmark) -> list[str]:
    """What was asked and how the numbers are meant."""
    n, there = benchmark.n, benchmark.questions_in_benchmark
    asked = f"{n:,} questions"
    if benchmark.clusters != n:
        asked += f", {benchmark.clusters:,} {benchmark.clustered_by}"
    lines = [f"{name}  ({benchmark.label})", f"{benchmark.metric} in %, {asked}"]
    if n < there:
        lines.append(f"a part: the benchmark has {there:,}, and only the score on all of them counts")
    return lines


def _run_row(run: str, row: ComparedRun, replicated: bool) -> tuple[str, ...]:
    """The cells of a run."""
    score = run, in_percent(row.value), in_percent(row.stderr, 2, none="-"), _interval(row.interval)
    if not replicated:
        return score
    scores = row.trainings.values()
    between = f"{in_percent(min(scores))} to {in_percent(max(scores))}" if len(scores) > 1 else "-"
    return (*score, str(len(scores)), in_percent(row.spread, 2, none="-"), between)


def _difference_row(row: ComparedDifference) -> tuple[str, ...]:
    """The cells of a difference."""
    needed = row.questions_needed
    return (
        f"{row.run} - {row.beside}", in_percent(row.difference, sign="+"), _interval(row.interval, "+"),
        p_value(row.p_value, none="-", tiny=TINY_P), "-" if needed is None else f"{needed:,}",
        "questions alone" if row.trained_once else "questions, trainings",
    )  # fmt: skip


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    """The first cell to the left, the others to the right."""
    aligned = [
        cell.ljust(width) if place < LEFT_ALIGNED else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return GAP.join(aligned).rstrip()


def _interval(interval: Interval | None, sign: str = "") -> str:
    """An interval in percent, in one cell."""
    return "-" if interval is None else f"[{in_percent(interval[0], sign=sign)}, {in_percent(interval[1], sign=sign)}]"


def _short(text: str, length: int = 16) -> str:
    """A text's beginning."""
    return text if len(text) <= length else text[: length - 3] + "..."
