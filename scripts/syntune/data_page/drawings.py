"""The page's pictures as SVG, in the page's own colours: the flow of rows, and histograms."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from syntune import formats
from syntune.data_page.records import FlowStep
from syntune.data_page.scores import Bins

_SVG = Markup('<svg viewBox="0 0 {} {}" role="img" aria-label="{}" {}>{}</svg>')
_LIMIT = '<line x1="{0:.1f}" x2="{0:.1f}" y1="6" y2="{1}" stroke="var(--ink)" stroke-dasharray="5 3"/>'
_NAME, _BAND, _FIGURES, _ROW = 250, 380, 210, 46
"""Of the flow, in pixels: the widths of its three columns, and a step's height."""


def draw_flow(steps: Sequence[FlowStep]) -> Markup:
    """A band whose width is the number of rows, from step to step; what leaves it and what joins it are wedges."""
    most = max([step.rows_in + step.added for step in steps] + [1])
    parts = []
    for index, step in enumerate(steps):
        top, bottom = index * _ROW, (index + 1) * _ROW - 1
        before, stay, after = (
            _NAME + _BAND * rows / most for rows in (step.rows_in, step.rows_in - step.dropped, step.rows_out)
        )
        parts += [
            _polygon("rows-out", (_NAME, top), (before, top), (stay, bottom), (_NAME, bottom)),
            _polygon("rows-dropped", (before, top), (before, bottom), (stay, bottom)) if step.dropped else "",
            _polygon("rows-added", (stay, bottom), (before, top), (after, bottom)) if step.added else "",
            _label(_NAME - 14, top + 22, step.name, "ink", "end"),
            _label(_NAME - 14, top + 37, step.stage, "soft", "end", 11),
            _label(_NAME + _BAND + 16, top + 22, f"{formats.count(step.rows_out)} rows", "ink"),
            _label(_NAME + _BAND + 16, top + 37, _change(step), "soft", size=11),
        ]
    told = "; ".join(f"{step.name}: {step.rows_in} in, {_change(step)}, {step.rows_out} out" for step in steps)
    size = 'style="min-width:34rem"'
    return _SVG.format(_NAME + _BAND + _FIGURES, max(1, len(steps)) * _ROW, told, Markup(size), Markup("").join(parts))


def draw_scores(bins: Bins, name: str) -> Markup:
    """Kept and dropped rows by score, stacked; a dashed line at each threshold."""
    width, height, base = min(520, 65 * len(bins.kept)), 150, 118
    step = width / len(bins.kept)
    top = max(kept + dropped for kept, dropped in zip(bins.kept, bins.dropped, strict=True)) or 1
    parts = []
    for index, (kept, dropped) in enumerate(zip(bins.kept, bins.dropped, strict=True)):
        low, high = (base - 96 * math.sqrt(count / top) for count in (kept, kept + dropped))
        parts += [
            _bar("rows-out", index * step, low, step, base - low) if kept else "",
            _bar("rows-dropped", index * step, high, step, low - high) if dropped else "",
        ]
    for number, (place, value) in enumerate(bins.thresholds):
        x = (place - bins.low) / (bins.high - bins.low) * width
        anchor = "end" if x > width / 2 else "start"
        parts += [
            Markup(_LIMIT).format(x, base),
            _label(x + (-5 if anchor == "end" else 5), 14 + 13 * (number % 2), score_text(value), "ink", anchor, 12),
        ]
    axis = Markup('<line x1="0" x2="{}" y1="{}" y2="{}" stroke="var(--rule)"/>').format(width, base, base)
    ends = [
        _label(0, base + 17, score_text(bins.ends[0]), "soft", size=12),
        _label(width / 2, base + 17, name, "soft", "middle", 12),
        _label(width, base + 17, score_text(bins.ends[1]), "soft", "end", 12),
    ]
    limits = [value for _, value in bins.thresholds]
    told = f"{name}: {sum(bins.kept)} kept and {sum(bins.dropped)} dropped values, thresholds {limits}"
    return _SVG.format(520, height, told, Markup('class="scores"'), Markup("").join([*parts, axis, *ends]))


def draw_counts(up_to: Sequence[int], counts: Sequence[int], name: str) -> Markup:
    """A histogram of counts up to each bound and above the last; empty bins at its ends are left out."""
    filled = [index for index, count in enumerate(counts) if count] or [0]
    shown = range(filled[0], filled[-1] + 1)
    labels = [str(bound) for bound in up_to] + [f"> {up_to[-1]}"]
    width, base, top = 520, 118, max(counts) or 1
    step = width / max(6, len(shown))
    parts = []
    for place, index in enumerate(shown):
        height, middle = 88 * counts[index] / top, (place + 0.5) * step
        parts += [
            _bar("rows-out", place * step + 2, base - height, step - 4, height),
            _label(middle, base - height - 5, _short(counts[index]), "soft", "middle", 11),
            _label(middle, base + 16, labels[index], "soft", "middle", 11),
        ]
    parts.append(_label(0, base + 32, name, "soft", size=12))
    told = f"{name}: " + ", ".join(f"up to {labels[index]}: {counts[index]}" for index in shown)
    return _SVG.format(width, base + 38, told, Markup('class="scores"'), Markup("").join(parts))


def _change(step: FlowStep) -> str:
    """What a step did, in numbers."""
    parts = []
    if step.dropped:
        share = step.dropped / step.rows_in if step.rows_in else 0
        parts.append(f"{formats.MINUS}{formats.count(step.dropped)} ({formats.percent(share)})")
    if step.added:
        parts.append(f"+{formats.count(step.added)}")
    if step.changed:
        every = f" in {step.calls} calls" if step.calls > 1 else ""
        parts.append(f"{formats.count(step.changed)} changed{every}")
    return ", ".join(parts) or "no change"


def score_text(value: float) -> str:
    """A score as it is shown; whole ones without decimals."""
    return formats.count(value) if float(value).is_integer() else formats.number(value)


def _short(count: int) -> str:
    """A count in few characters."""
    if count < 10_000:
        return f"{count:,}"
    return f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def _polygon(colour: str, *points: tuple[float, float]) -> Markup:
    """A filled polygon."""
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return Markup('<polygon points="{}" fill="var(--{})"/>').format(corners, colour)


def _bar(colour: str, x: float, y: float, width: float, height: float) -> Markup:
    """A bar, a hair apart from the next."""
    shape = '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" fill="var(--{})"/>'
    return Markup(shape).format(x + 0.5, y, max(0.5, width - 1), height, colour)


def _label(x: float, y: float, text: str, colour: str, anchor: str = "start", size: int = 13) -> Markup:
    """A text."""
    shape = '<text x="{:.1f}" y="{:.1f}" text-anchor="{}" font-size="{}" fill="var(--{})">{}</text>'
    return Markup(shape).format(x, y, anchor, size, colour, text)
