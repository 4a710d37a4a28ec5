"""The page: one HTML file that needs nothing else."""

import re
from pathlib import Path

from markupsafe import Markup

from syntune import formats
from syntune.files import atomic_file
from syntune.pages.colours import themed
from syntune.pages.templates import environment
from syntune.reporting import learning, tables, training_tables, verdict
from syntune.reporting.contaminated import contaminated_examples
from syntune.reporting.examples import examples
from syntune.reporting.figures import Drawing, smoothing
from syntune.reporting.records import Records
from syntune.reporting.suspicions import suspicions

HERE = Path(__file__).parent
PROLOG = re.compile(r"^.*?(?=<svg)", re.DOTALL)
METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
SVG_TAG = re.compile(r"<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>")
IDS = re.compile(r'(\bid="|href="#|url\(#)')


def render_page(records: Records, drawings: dict[str, Drawing], *, title: str, description: str, output: Path) -> None:
    """Write the page; every text from the input is escaped."""
    page = (
        environment(HERE)
        .get_template("page.html.j2")
        .render(
            title=title,
            description=description,
            figures={name: inline_svg(drawing) for name, drawing in drawings.items()},
            alts={name: drawing.alt for name, drawing in drawings.items()},
            smoothing=smoothing(records),
            suspicions=suspicions(records),
            records=records,
            has_plan=output.with_name("plan.html").is_file(),
            verdict=verdict,
            learning=learning,
            tables=tables,
            training_tables=training_tables,
            formats=formats,
            contaminated=contaminated_examples(records),
            examples={benchmark: examples(records, benchmark) for benchmark in records.benchmarks},
        )
    )
    with atomic_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")


def inline_svg(drawing: Drawing) -> Markup:
    """A figure for the page: no prolog or metadata, ids of its own, the page's colours."""
    svg = METADATA.sub("", PROLOG.sub("", drawing.svg))
    svg = SVG_TAG.sub(r'<svg viewBox="\1" aria-hidden="true" focusable="false">', svg, count=1)
    return Markup(themed(IDS.sub(rf"\g<1>{drawing.name}-", svg)))
