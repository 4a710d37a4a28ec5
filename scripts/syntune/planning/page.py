"""The plan as a page: one HTML file that needs nothing else."""

from pathlib import Path

from syntune import formats
from syntune.artifacts.plans import Plan
from syntune.files import atomic_file
from syntune.pages.templates import environment
from syntune.planning.table import MEASURED_CARD, WITH_ROWS, disk_told, fits
from syntune.settings.tree import Settings


def render_plan(plan: Plan, settings: Settings, config: str, output: Path) -> None:
    """Write the page of a plan.

    Args:
        plan: what is shown.
        settings: of the config that it is of.
        config: that config's name.
        output: the page.
    """
    told = [run for run in plan.runs if not run.unknown]
    page = (
        environment(Path(__file__).parent)
        .get_template("page.html.j2")
        .render(
            plan=plan,
            title=settings.title,
            config=config,
            limit=settings.plan.gpu_memory_gib,
            told=told,
            parts=list(dict.fromkeys(part for run in told for part in run.memory_gib)),
            gpus=list(dict.fromkeys(gpu for run in told for gpu in run.hours)),
            with_rows=WITH_ROWS,
            measured_card=MEASURED_CARD,
            fits=fits,
            disk=disk_told(plan),
            formats=formats,
        )
    )
    with atomic_file(output) as temporary:
        temporary.write_text(page, encoding="utf-8")
