"""A page of what was found in a dataset, also where training stops for it: each question beside the row it was in."""

from pathlib import Path

from syntune.artifacts.findings import ExamplePictures, Findings
from syntune.files import atomic_file
from syntune.pages.templates import environment

_KINDS = {
    "both": "text and image in one row",
    "image_exact": "same image",
    "image_near": "similar image",
    "text": "text",
}


def render_pairs(findings: Findings, pictures: ExamplePictures, output: Path) -> None:
    """Write the examples of each benchmark, those with text and image first."""
    template = environment(Path(__file__).parent).get_template("page.html.j2")
    page = template.render(findings=findings, pictures=pictures, kinds=_KINDS)
    with atomic_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
