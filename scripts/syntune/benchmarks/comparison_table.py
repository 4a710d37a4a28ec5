"""The comparison as a table of tab-separated values, and as text for a terminal."""

from typing import Any

COLUMNS = (
    "benchmark", "metric", "run", "score", "stderr", "low", "high", "n", "clusters", "difference", "difference_stderr",
    "difference_low", "difference_high", "p_value", "questions_needed", "detectable_difference",
)  # fmt: skip
HEADINGS = ("run", "score", "stderr", "95% interval", "difference", "95% interval", "p", "questions needed")
LEFT_ALIGNED = 1
GAP = "  "


def tab_separated(comparison: dict[str, Any]) -> str:
    """A line for each benchmark and run; scores and differences in percent, cells empty where there is nothing."""
    lines = ["\t".join(COLUMNS)]
    for name, of in comparison["benchmarks"].items():
        for run, row in of["runs"].items():
            cells = (
                name, of["metric"], run, _percent(row["value"]), _percent(row["stderr"], 2), *_ends(row["interval"]),
                of["n"], of["clusters"], _percent(row.get("difference")), _percent(row.get("difference_stderr"), 2),
                *_ends(row.get("difference_interval")),
                _p_value(row.get("p_value")), row.get("questions_needed"), _percent(row.get("detectable_difference")),
            )  # fmt: skip
            lines.append("\t".join("" if cell is None else str(cell) for cell in cells))
    return "\n".join(lines) + "\n"


def plain_text(comparison: dict[str, Any]) -> str:
    """A block for each benchmark, at most 110 columns wide for names of ordinary length."""
    blocks = [_block(name, of, comparison["baseline"]) for name, of in comparison["benchmarks"].items()]
    return "\n\n".join(blocks) + "\n"


def _block(name: str, of: dict[str, Any], baseline: str) -> str:
    """A benchmark's heading, its runs and its majority answer, columns aligned."""
    rows = [HEADINGS, *(_run_row(run, row) for run, row in of["runs"].items())]
    rows.append(("majority answer", _percent(of["majority"]["majority"]), "", f'"{_short(of["majority"]["answer"])}"'))
    rows = [tuple(row) + ("",) * (len(HEADINGS) - len(row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    rule = "-" * max(map(len, lines))
    return "\n".join([*_heading(name, of, baseline), rule, lines[0], rule, *lines[1:-1], rule, lines[-1]])


def _heading(name: str, of: dict[str, Any], baseline: str) -> list[str]:
    """What was asked and how the numbers are meant."""
    asked = f"{of['n']:,} questions"
    if of["clusters"] != of["n"]:
        asked += f", {of['clusters']:,} {of['clustered_by']}"
    lines = [f"{name}  ({of['label']})", f"{of['metric']} in %, {asked}; differences in points to {baseline}"]
    if of["n"] < of["questions_in_benchmark"]:
        lines.append(
            f"a part: the benchmark has {of['questions_in_benchmark']:,}, and only the score on all of them counts"
        )
    return lines


def _run_row(run: str, row: dict[str, Any]) -> tuple[str, ...]:
    """The cells of a run."""
    score = run, _percent(row["value"]), _percent(row["stderr"], 2) or "-", _interval(row["interval"])
    if "difference" not in row:
        return (*score, "baseline")
    needed = row["questions_needed"]
    return (
        *score,
        f"{100 * row['difference']:+.1f}", _interval(row["difference_interval"], "+"),
        _p_value(row["p_value"]) or "-", "-" if needed is None else f"{needed:,}",
    )  # fmt: skip


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    """The first cell to the left, the others to the right."""
    aligned = [
        cell.ljust(width) if place < LEFT_ALIGNED else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return GAP.join(aligned).rstrip()


def _percent(value: float | None, decimals: int = 1) -> str | None:
    """A share in percent."""
    return None if value is None else f"{100 * value:.{decimals}f}"


def _ends(interval: tuple[float, float] | None) -> tuple[str | None, str | None]:
    """An interval's ends in percent."""
    return (None, None) if interval is None else tuple(map(_percent, interval))


def _interval(interval: tuple[float, float] | None, sign: str = "") -> str:
    """An interval in percent."""
    return "-" if interval is None else f"[{100 * interval[0]:{sign}.1f}, {100 * interval[1]:{sign}.1f}]"


def _p_value(value: float | None) -> str | None:
    """A p-value; below a thousandth its size says nothing more."""
    if value is None:
        return None
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _short(text: str, length: int = 16) -> str:
    """A text's beginning."""
    return text if len(text) <= length else text[: length - 3] + "..."
