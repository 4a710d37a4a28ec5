"""The six figures, as SVG: the same input gives the same bytes."""

import io
import math
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from syntune import formats
from syntune.artifacts.manifests import Manifest
from syntune.artifacts.scores import Interval
from syntune.artifacts.training_records import StepMetrics, Validation
from syntune.files import atomic_file
from syntune.pages.colours import light
from syntune.reporting.palette import run_colours, run_dashes
from syntune.reporting.records import Records

WIDTH = 8.6  # inches
LEAST_SPAN = 1.5  # of the loss's axis, top by bottom
LONGEST_NAME = 28  # characters of a name in one line
LONGEST_LINE = 1200  # points of a drawn curve; longer ones keep each stretch's lowest and highest point
STYLE = {
    "svg.hashsalt": "syntune",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": light("ink"),
    "text.parse_math": False,
    "axes.edgecolor": light("rule"),
    "axes.facecolor": "none",
    "axes.labelcolor": light("soft"),
    "axes.titlelocation": "left",
    "axes.titlesize": 10.5,
    "axes.titlecolor": light("ink"),
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": light("rule"),
    "grid.linewidth": 0.7,
    "xtick.color": light("rule"),
    "ytick.color": light("rule"),
    "xtick.labelcolor": light("soft"),
    "ytick.labelcolor": light("soft"),
    "ytick.major.size": 0,
    "figure.facecolor": light("paper"),
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "legend.handlelength": 1.6,
    "hatch.linewidth": 0.6,
}
FONTS = re.compile(r"'DejaVu Sans'")

Value = Callable[[StepMetrics], float | None]
"""What a curve shows of a step."""


@dataclass(frozen=True)
class Drawing:
    """A figure: its SVG text, and what it shows in words."""

    name: str
    svg: str
    alt: str


def draw_figures(records: Records, folder: Path) -> dict[str, Drawing]:
    """Draw every figure into ``folder`` as NAME.svg and return them by name."""
    drawings = {}
    for name, draw in FIGURES.items():
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(STYLE)
            figure, alt = draw(records)
            drawings[name] = Drawing(name, _svg(figure, alt), alt)
        with atomic_file(folder / f"{name}.svg") as temporary:
            temporary.write_text(drawings[name].svg, encoding="utf-8")
    return drawings


def draw_loss(records: Records) -> tuple[Figure, str]:
    """Training loss and validation losses on a logarithmic scale that their values fill, and that of a uniform guess.

    That is ln(vocabulary), where the vocabulary is recorded; a line only where it lies near the values.
    """
    figure, axes = _panels("Loss, nats a supervised token")
    _curves(axes, records, _loss)
    validated = _validation(axes, records)
    losses = [loss for steps in records.metrics.values() for _, loss in _points(steps, _loss)]
    losses += [line.loss for found in _validations(records).values() for line in found.losses]
    bottom, top = _zoom(axes, losses)
    for place, (label, guess) in enumerate(uniform_guesses(records).items()):
        text = f"uniform guess over {label}: {formats.number(guess)}"
        note = {"ha": "right", "color": light("soft"), "fontsize": 8.5, "textcoords": "offset points"}
        if bottom <= guess <= top:
            axes.axhline(guess, color=light("soft"), linewidth=1, linestyle=(0, (4, 3)))
            axes.annotate(text, (1, guess), (-2, 3), xycoords=("axes fraction", "data"), **note)
        else:
            side = "above" if guess > top else "below"
            axes.annotate(f"{text}, {side} the figure", (1, 1), (-2, 2 + 11 * place), xycoords="axes fraction", **note)
    told = _told("Training loss by step", records, _loss, "")
    return _finished(figure, records), f"{told} {validated}".strip()


def _zoom(axes: Axes, values: list[float]) -> tuple[float, float]:
    """Scale the vertical axis to ``values`` and return its ends: logarithmic unless one is zero.

    It spans a factor of :data:`LEAST_SPAN` at least, so that a loss that only wavers looks flat.
    """
    if not values or min(values) <= 0:
        axes.set_ylim(bottom=0)
        return axes.get_ylim()
    middle = math.sqrt(min(values) * max(values))
    half = max(1.06 * math.sqrt(max(values) / min(values)), math.sqrt(LEAST_SPAN))
    axes.set_yscale("log")
    axes.set_title(f"{axes.get_title(loc='left')}, logarithmic")
    axes.set_ylim(middle / half, middle * half)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if half > 4 else MaxNLocator(6))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: formats.plain(value)))
    axes.yaxis.set_minor_locator(NullLocator())
    return middle / half, middle * half


def draw_learning_rate(records: Records) -> tuple[Figure, str]:
    """The learning rate that each step was taken with."""
    figure, axes = _panels("Learning rate", height=2.7)
    _curves(axes, records, lambda step: step.learning_rate, smooth=False)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: formats.plain(value)))
    told = _told("Learning rate by step", records, lambda step: step.learning_rate, "")
    return _finished(figure, records), told


def draw_gradient_norm(records: Records) -> tuple[Figure, str]:
    """The gradient's norm before clipping, on a logarithmic scale."""
    figure, axes = _panels("Gradient norm before clipping, logarithmic", height=2.9)
    _curves(axes, records, lambda step: step.grad_norm)
    if any(step.grad_norm and step.grad_norm > 0 for steps in records.metrics.values() for step in steps):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: formats.plain(value)))
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    return _finished(figure, records), _told("Gradient norm by step", records, lambda step: step.grad_norm, "")


def draw_throughput(records: Records) -> tuple[Figure, str]:
    """Samples and tokens a second."""
    figure, samples, tokens = _panels("Samples a second", "Tokens a second", height=2.9)
    _curves(samples, records, lambda step: step.samples_per_second)
    _curves(tokens, records, lambda step: step.tokens_per_second)
    for axes in (samples, tokens):
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    told = _told("Training throughput by step", records, lambda step: step.samples_per_second, " samples a second")
    return _finished(figure, records), told


def draw_data(records: Records) -> tuple[Figure, str]:
    """For each stage of the data two bars: rows in + added, and rows out + dropped, which are as long."""
    stages = [stage for stage in data_stages(records) if stage[1].rows_out is not None]
    figure = Figure(figsize=(WIDTH, 0.9 + 0.52 * max(1, len(stages))), layout="constrained")
    axes = figure.add_subplot()
    axes.set_title("Rows: in + added = out + dropped")
    widest = max([stage.rows_out + sum(stage.dropped.values()) for _, stage in stages], default=1)
    for place, (_, stage) in enumerate(stages):
        dropped = sum(stage.dropped.values())
        rows_in = stage.rows_out + dropped - stage.added if stage.rows_in is None else stage.rows_in
        _bar_pair(axes, place - 0.2, widest, (rows_in, "rows-in"), (stage.added, "rows-added"))
        _bar_pair(axes, place + 0.2, widest, (stage.rows_out, "rows-out"), (dropped, "rows-dropped"))
    axes.set_yticks(range(len(stages)), [f"{label} {stage.name}" for label, stage in stages])
    axes.set_ylim(len(stages) - 0.4, -0.6)
    axes.set_xlim(0, 1.12 * widest)
    axes.tick_params(axis="y", labelcolor=light("ink"))
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: formats.count(value)))
    handles = [
        mpl.patches.Patch(color=light(name), label=label)
        for name, label in (
            ("rows-in", "in"), ("rows-added", "added"), ("rows-out", "out"), ("rows-dropped", "dropped"),
        )
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper left", ncols=4)
    told = [
        f"{label} {stage.name}: {formats.count(stage.rows_in)} in, {formats.count(stage.added)} added, "
        f"{formats.count(stage.rows_out)} out, {formats.count(sum(stage.dropped.values()))} dropped"
        for label, stage in stages
    ]
    return figure, "Rows of each data stage. " + "; ".join(told) + "."


def draw_scores(records: Records) -> tuple[Figure, str]:
    """For each benchmark the runs' scores and, beside them, the paired differences of runs."""
    runs, compared = records.runs, records.compared
    names = [_in_lines(run) for run in runs]
    pairs = [[_pair(each.run, each.beside) for each in found.differences] for _, found in compared]
    deepest = max((label.count("\n") for label in [*names, *(pair for own in pairs for pair in own)]), default=0)
    lines = [max(len(runs), len(found.differences), 1) for _, found in compared] or [1]
    heights = [0.75 + (0.3 + 0.16 * deepest) * number for number in lines]
    figure = Figure(figsize=(WIDTH, 0.5 + sum(heights)), layout="constrained")
    figure.get_layout_engine().set(hspace=0.08)
    grid = figure.subplots(len(lines), 2, squeeze=False, width_ratios=(3, 2), height_ratios=lines)
    colours, told = run_colours(records), []
    for (left, right), (benchmark, found), own in zip(grid, compared, pairs, strict=False):
        left.set_title(_in_lines(benchmark))
        right.set_title("difference, points")
        for place, run in enumerate(runs):
            if (row := found.runs.get(run)) is None:
                continue
            colour = light(colours[run])
            if len(row.trainings) > 1:
                _trainings(left, place, row.trainings.values(), colour)
            _estimate(left, place, row.value, row.interval, colour)
            told.append(f"{run} on {benchmark} {formats.percent(row.value)}")
        for place, difference in enumerate(found.differences):
            _estimate(right, place, difference.difference, difference.interval, light(colours[difference.run]))
        _majority(left, found.majority.majority)
        right.axvline(0, color=light("soft"), linewidth=1)
        left.set_xlim(0, 100)
        for axes, labels in ((left, names), (right, own)):
            axes.set_yticks(range(len(labels)), labels)
            axes.set_ylim(max(1, len(labels)) - 0.5, -0.9)
            axes.grid(axis="y", visible=False)
            axes.tick_params(axis="y", labelcolor=light("ink"))
        left.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}%"))
        right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: formats.plain(value)))
        right.xaxis.set_major_locator(MaxNLocator(4, steps=(1, 2, 5, 10)))
        _widen(right, 1)
    return figure, "Scores with 95% intervals. " + "; ".join(told) + "."


FIGURES: dict[str, Callable[[Records], tuple[Figure, str]]] = {
    "loss": draw_loss,
    "learning-rate": draw_learning_rate,
    "gradient-norm": draw_gradient_norm,
    "throughput": draw_throughput,
    "data": draw_data,
    "scores": draw_scores,
}


def data_stages(records: Records) -> list[tuple[str, Manifest]]:
    """The stages of the data, each with what it is called, in the order of the data."""
    stages = [("seed", records.seeds), ("synthesis", records.syntheses), ("dataset", records.datasets)]
    return [(label, manifest) for label, manifests in stages for manifest in manifests]


def uniform_guesses(records: Records) -> dict[str, float]:
    """ln(vocabulary) for each vocabulary size that the models' manifests record, by description."""
    sizes = {manifest.details.get("vocab_size") for manifest in records.models}
    return {
        f"{formats.count(size)} tokens": math.log(size) for size in sorted(size for size in sizes if size and size > 1)
    }


def smoothing_window(steps: int) -> int:
    """Steps in the running mean that is drawn over a curve: a twenty-fifth of them, an odd number."""
    return 2 * (steps // 50) + 1


def smoothing(records: Records) -> str:
    """How the curves were smoothed."""
    windows = {run: smoothing_window(len(steps)) for run, steps in records.metrics.items()}
    smoothed = [f"{window} steps for {run}" for run, window in windows.items() if window > 1]
    return f"Faint: each step; strong: running mean over {formats.listing(smoothed)}." if smoothed else ""


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Centred mean over ``window`` values, over fewer at the ends; shape unchanged."""
    half = window // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.maximum(np.arange(len(values)) - half, 0)
    last = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def thinned(x: np.ndarray, y: np.ndarray, longest: int = LONGEST_LINE) -> tuple[np.ndarray, np.ndarray]:
    """A curve of at most ``longest`` points that keeps the lowest and the highest of each stretch: no spike is lost."""
    if len(x) <= longest:
        return x, y
    stretches = np.array_split(np.arange(len(x)), longest // 2)
    kept = sorted({int(pick) for part in stretches for pick in (part[y[part].argmin()], part[y[part].argmax()])})
    return x[kept], y[kept]


def _panels(*titles: str, height: float = 3.4) -> tuple:
    """A figure and an axes for each title, side by side."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    panels = figure.subplots(1, len(titles), squeeze=False)[0]
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title)
        axes.set_xlabel("optimizer step")
        axes.margins(x=0.01)
        axes.grid(axis="x", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return (figure, *panels)


def _curves(axes: Axes, records: Records, value: Value, smooth: bool = True) -> None:
    """Each trained run's curve: the steps faintly, their running mean strongly; a single step as a dot."""
    colours, dashes = run_colours(records), run_dashes(records)
    for place, (run, steps) in enumerate(records.metrics.items()):
        points = _points(steps, value)
        if not points:
            continue
        x, y = (np.array(values, dtype=float) for values in zip(*points, strict=True))
        window = smoothing_window(len(x)) if smooth else 1
        colour = light(colours[run])
        if window > 1:
            axes.plot(*thinned(x, y), color=colour, alpha=0.28, linewidth=0.8)
        dash = dashes[run] if smooth else (0, (6, 3 * place)) if place else "solid"  # equal curves stay visible
        marker = "o" if len(x) == 1 else None
        mean = thinned(x, running_mean(y, window))
        label = run if run in records.runs else None  # a run's trainings share its colour and its place in the legend
        axes.plot(*mean, color=colour, linestyle=dash, linewidth=1.7, marker=marker, label=label)


def _loss(step: StepMetrics) -> float | None:
    """A step's training loss."""
    return step.loss


def _validations(records: Records) -> dict[str, Validation]:
    """The validation of each run that has one."""
    return {run: summary.validation for run, summary in records.summaries.items() if summary.validation}


def _validation(axes: Axes, records: Records) -> str:
    """Each trained run's validation losses, as diamonds on a dotted line; in words, where they begin and end."""
    colours, told = run_colours(records), []
    for run, found in _validations(records).items():
        steps, losses = [line.step for line in found.losses], [line.loss for line in found.losses]
        axes.plot(steps, losses, color=light(colours[run]), linestyle=":", linewidth=1.4, marker="D", markersize=4)
        first, last, best = (formats.number(loss) for loss in (losses[0], losses[-1], found.best_loss))
        told.append(f"{run} from {first} to {last}, lowest {best} at step {found.best_step}")
    return f"Diamonds: validation loss on held-out rows, {'; '.join(told)}." if told else ""


def _points(steps: list[StepMetrics], value: Value) -> list[tuple[int, float]]:
    """Step and value wherever a finite value is recorded."""
    found = ((step.step, value(step)) for step in steps)
    return [(step, number) for step, number in found if number is not None and math.isfinite(number)]


def _told(what: str, records: Records, value: Value, unit: str) -> str:
    """A figure of curves in words: each run's first and last value."""
    told = []
    for run, steps in records.metrics.items():
        if points := _points(steps, value):
            first, last = formats.number(points[0][1]), formats.number(points[-1][1])
            told.append(f"{run} from {first} to {last}{unit} in {formats.plural(len(points), 'step')}")
    return f"{what}. " + ("; ".join(told) + "." if told else "Nothing was recorded.")


def _finished(figure: Figure, records: Records) -> Figure:
    """The figure with one legend for its runs, or a word where there is nothing to draw."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    if handles:
        columns = max(1, min(len(labels), 6, 100 // max(map(len, labels))))  # some 100 characters fit beside each other
        figure.legend(handles, labels, loc="outside upper left", ncols=columns)
    else:
        word = "not recorded" if records.metrics else "no run was trained"
        figure.axes[0].text(0.5, 0.5, word, transform=figure.axes[0].transAxes, ha="center", color=light("soft"))
    return figure


def _bar_pair(axes: Axes, place: float, widest: float, *bars: tuple[int, str]) -> None:
    """Bars end to end, the sum's parts written after them."""
    left = 0
    for rows, colour in bars:
        axes.barh(place, rows, left=left, height=0.34, color=light(colour))
        left += rows
    text = " + ".join(formats.count(rows) for rows, _ in bars if rows) or "0"
    axes.text(left + 0.008 * widest, place, text, va="center", fontsize=8, color=light("soft"))


def _estimate(axes: Axes, place: int, value: float, interval: Interval | None, colour: str) -> None:
    """A dot, and a line over its interval; shares drawn in percent."""
    if interval is not None:
        axes.plot([100 * bound for bound in interval], [place, place], color=colour, linewidth=2.2)
    edge = light("paper")
    axes.plot(100 * value, place, "o", color=colour, markersize=6.5, markeredgecolor=edge, clip_on=False, zorder=3)


def _trainings(axes: Axes, place: int, values: Iterable[float], colour: str) -> None:
    """A small ring for each training's score, below its run's dot."""
    for value in values:
        axes.plot(100 * value, place + 0.22, "o", color="none", markersize=4, markeredgecolor=colour, clip_on=False)


def _in_lines(name: str) -> str:
    """A name in lines that leave a figure its room, broken behind hyphens where there are any."""
    return textwrap.fill(name, LONGEST_NAME)


def _pair(run: str, beside: str) -> str:
    """What a difference is of: in one line, or a run in each."""
    both = f"{run} − {beside}"
    return both if len(both) <= LONGEST_NAME + 8 else f"{_in_lines(run)} −\n{_in_lines(beside)}"


def _widen(axes: Axes, least: float) -> None:
    """Have the horizontal axis span ``least`` or more: equal runs differ by 0, and not by thousandths."""
    low, high = axes.get_xlim()
    if high - low < least:
        axes.set_xlim((low + high - least) / 2, (low + high + least) / 2)


def _majority(axes: Axes, value: float) -> None:
    """The line of always giving the most frequent answer."""
    axes.axvline(100 * value, color=light("soft"), linewidth=1, linestyle=(0, (4, 3)))
    is_high = value > 0.6  # then there is more room before the line than behind it
    axes.annotate(
        "majority answer", (100 * value, 1), (-3 if is_high else 3, 0), xycoords=("data", "axes fraction"),
        textcoords="offset points", ha="right" if is_high else "left", va="top", fontsize=8, color=light("soft"),
    )  # fmt: skip


def _svg(figure: Figure, alt: str) -> str:
    """The figure as SVG with ``alt`` as its description, without date or version."""
    stream = io.StringIO()
    metadata = {"Date": None, "Creator": None, "Description": alt}
    figure.savefig(stream, format="svg", metadata=metadata)
    return FONTS.sub("system-ui, 'Segoe UI', 'Helvetica Neue', Arial", stream.getvalue())
