"""The comparison as a table of tab-separated values, and as text for a terminal."""

from syntune.artifacts.comparison import ComparedBenchmark, ComparedRun, Comparison
from syntune.artifacts.scores import Interval
from syntune.formats import in_percent, p_value

COLUMNS = (
    "benchmark", "metric", "run", "score", "stderr", "low", "high", "n", "clusters", "difference", "difference_stderr",
    "difference_low", "difference_high", "p_value", "questions_needed", "detectable_difference",
)  # fmt: skip
HEADINGS = ("run", "score", "stderr", "95% interval", "difference", "95% interval", "p", "questions needed")
LEFT_ALIGNED = 1
GAP = "  "
TINY_P = "<0.001"


def tab_separated(comparison: Comparison) -> str:
    """A line for each benchmark and run; scores and differences in percent, cells empty where there is nothing."""
    lines = ["\t".join(COLUMNS)]
    for name, benchmark in comparison.benchmarks.items():
        for run, row in benchmark.runs.items():
            cells = (
                name, benchmark.metric, run, in_percent(row.value), in_percent(row.stderr, 2, none=""),
                *_ends(row.interval), str(benchmark.n), str(benchmark.clusters),
                in_percent(row.difference, none=""), in_percent(row.difference_stderr, 2, none=""),
                *_ends(row.difference_interval), p_value(row.p_value, none="", tiny=TINY_P),
                "" if row.questions_needed is None else str(row.questions_needed),
                in_percent(row.detectable_difference, none=""),
            )  # fmt: skip
            lines.append("\t".join(cells))
    return "\n".join(lines) + "\n"


def plain_text(comparison: Comparison) -> str:
    """A block for each benchmark, at most 110 columns wide for names of ordinary length."""
    blocks = [_block(name, found, comparison.baseline) for name, found in comparison.benchmarks.items()]
    return "\n\n".join(blocks) + "\n"


def _block(name: str, benchmark: ComparedBenchmark, baseline: str) -> str:
    """A benchmark's heading, its runs and its majority answer, columns aligned."""
    majority = benchmark.majority
    rows = [HEADINGS, *(_run_row(run, row) for run, row in benchmark.runs.items())]
    rows.append(("majority answer", in_percent(majority.majority), "", f'"{_short(majority.answer)}"'))
    rows = [tuple(row) + ("",) * (len(HEADINGS) - len(row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    rule = "-" * max(map(len, lines))
    return "\n".join([*_heading(name, benchmark, baseline), rule, lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _heading(name: str, benchmark: ComparedBenchmark, baseline: str) -> list[str]:
    """What was asked and how the numbers are meant."""
    n, there = benchmark.n, benchmark.questions_in_benchmark
    asked = f"{n:,} questions"
    if benchmark.clusters != n:
        asked += f", {benchmark.clusters:,} {benchmark.clustered_by}"
    lines = [f"{name}  ({benchmark.label})", f"{benchmark.metric} in %, {asked}; differences in points to {baseline}"]
    if n < there:
        lines.append(f"a part: the benchmark has {there:,}, and only the score on all of them counts")
    return lines


def _run_row(run: str, row: ComparedRun) -> tuple[str, ...]:
    """The cells of a run."""
    score = run, in_percent(row.value), in_percent(row.stderr, 2, none="-"), _interval(row.interval)
    if row.difference is None:
        return (*score, "baseline")
    needed = row.questions_needed
    return (
        *score,
        in_percent(row.difference, sign="+"), _interval(row.difference_interval, "+"),
        p_value(row.p_value, none="-", tiny=TINY_P), "-" if needed is None else f"{needed:,}",
    )  # fmt: skip


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    """The first cell to the left, the others to the right."""
    aligned = [
        cell.ljust(width) if place < LEFT_ALIGNED else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return GAP.join(aligned).rstrip()


def _ends(interval: Interval | None) -> tuple[str, str]:
    """An interval's ends in percent, one cell each."""
    low, high = interval or (None, None)
    return in_percent(low, none=""), in_percent(high, none="")


def _interval(interval: Interval | None, sign: str = "") -> str:
    """An interval in percent, in one cell."""
    return "-" if interval is None else f"[{in_percent(interval[0], sign=sign)}, {in_percent(interval[1], sign=sign)}]"


def _short(text: str, length: int = 16) -> str:
    """A text's beginning."""
    return text if len(text) <= length else text[: length - 3] + "..."
