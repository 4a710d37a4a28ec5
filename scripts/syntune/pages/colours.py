"""The pages' colours and style: safe for colour-blind readers, light and dark.

A figure's file has the light colours. On a page the same figure names CSS variables instead, so that it follows the
reader's light or dark scheme. Hues are Okabe and Ito's (2008) and a few between them.
"""

from pathlib import Path

INK = {
    "ink": ("#1c1f24", "#e8eaed"),
    "soft": ("#5c6570", "#a3acb8"),
    "rule": ("#d9dde2", "#383e47"),
    "paper": ("#ffffff", "#16181c"),
}
RUNS = {
    "run-1": ("#0072b2", "#56b4e9"),
    "run-2": ("#d55e00", "#f0884d"),
    "run-3": ("#009e73", "#3dc9a0"),
    "run-4": ("#cc79a7", "#e39cc4"),
    "run-5": ("#7a5195", "#b08fd0"),
    "run-6": ("#8c6d1f", "#cfae5c"),
    "run-7": ("#4d5a8a", "#93a1d8"),
    "run-8": ("#7f2f2f", "#cf8080"),
}
ROWS = {
    "rows-in": ("#b4bbc5", "#6b7480"),
    "rows-added": ("#7fc4ee", "#3d83ad"),
    "rows-out": ("#57606c", "#c3cad4"),
    "rows-dropped": ("#e69f01", "#d9951a"),
}
COLOURS = {**INK, **RUNS, **ROWS}


def run_colour(place: int) -> str:
    """The colour's name of the run at a place in the config; after the last they begin again."""
    return list(RUNS)[place % len(RUNS)]


def light(name: str) -> str:
    """The colour as figures' files have it."""
    return COLOURS[name][0]


def css_variables(scheme: int) -> str:
    """Declarations of all colours for the light (0) or the dark (1) scheme."""
    return " ".join(f"--{name}: {pair[scheme]};" for name, pair in COLOURS.items())


def themed(svg: str) -> str:
    """An SVG text whose colours are the page's variables."""
    for name, (colour, _) in COLOURS.items():
        svg = svg.replace(colour, f"var(--{name})")
    return svg


def page_style() -> str:
    """The CSS that pages share."""
    return Path(__file__).with_name("page.css").read_text(encoding="utf-8")
