"""Synthesis: stages over chunks, each chunk's result kept, and the dataset's manifest in the end."""

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from syntune.artifacts.lineage import LineageWriter
from syntune.artifacts.manifests import Part, read_manifest, write_manifest
from syntune.artifacts.reports import ChunkReport, ReportedStep, read_report
from syntune.data.accounts import Step, added_up
from syntune.errors import UserError
from syntune.files import atomic_file, canonical_json, read_jsonl, sha256_bytes, sha256_file, write_json
from syntune.recipes.reading import Recipe

log = logging.getLogger("synthesis")


def write_report(path: Path, rows: Path, rows_in: int, rows_out: int, steps: Iterable[Step], **more: object) -> None:
    """Write a chunk's report, which vouches for its file of rows."""
    report = ChunkReport(
        rows_in=rows_in,
        rows_out=rows_out,
        rows_sha256=sha256_file(rows),
        steps=[ReportedStep(**step._asdict()) for step in steps],
        **more,
    )
    write_json(path, report.as_written())


def gather(
    dataset: str,
    recipe: Recipe,
    *,
    chunks: list[Path],
    reports: list[list[Path]],
    lineages: Iterable[Path],
    seed_manifest: Path,
    lineage: Path,
    manifest: Path,
) -> None:
    """Write a dataset's manifest and lineage; the rows stay where the last stage wrote them.

    Args:
        dataset: its name.
        recipe: its operators, as the recipe names them.
        chunks: the rows of the last stage.
        reports: the reports of each stage, in order, each chunk by chunk.
        lineages: the lineages of all stages, in order.
        seed_manifest: the seed's.
        lineage: the lineage to write.
        manifest: the manifest to write.

    Raises:
        UserError: no row is left.
    """
    stages = [[read_report(report) for report in stage] for stage in reports]
    steps = [step for stage in stages for step in added_up(stage)]
    rows_out = sum(report.rows_out for report in stages[-1])
    if not rows_out:
        worst = max(steps, key=lambda step: step.dropped)
        raise UserError(f"dataset {dataset}: the recipe drops every row; most, {worst.dropped}, by {worst.operator}")
    dropped: Counter[str] = Counter()
    for step in steps:
        dropped[step.operator] += step.dropped
    with atomic_file(lineage) as temporary, LineageWriter(temporary) as told:
        for part in lineages:
            told.copy(part)
    counts = [report.rows_out for report in stages[-1]]
    write_manifest(
        manifest,
        stage="gather_synthesis",
        name=dataset,
        parts=[Part.from_file(chunk, manifest.parent, rows) for chunk, rows in zip(chunks, counts, strict=True)],
        packages=("py-data-juicer", "datasets", "pillow"),
        rows_in=sum(report.rows_in for report in stages[0]),
        rows_out=rows_out,
        dropped=dict(+dropped),
        added=sum(step.added for step in steps),
        inputs={
            "seed": read_manifest(seed_manifest).content,
            "recipe": sha256_bytes(canonical_json(recipe).encode()),
        },
        settings={"process": [{name: parameters} for name, parameters in recipe]},
        details={"images": _distinct_images(chunks), "operators": [step._asdict() for step in steps]},
    )


def _distinct_images(chunks: Iterable[Path]) -> int:
    """How many images the rows are about: eight bytes of memory each."""
    import numpy as np

    distinct = np.empty(0, np.uint64)
    for chunk in chunks:
        firsts = (int(sha256[:16], 16) for row in read_jsonl(chunk) for sha256 in row["image_sha256"])
        distinct = np.union1d(distinct, np.fromiter(firsts, np.uint64))
    return len(distinct)


def rehearsed(dataset: str, reports: list[Path], output: Path) -> None:
    """Write what became of the sample; a recipe that leaves none of it may still be right, and is warned about."""
    read = [read_report(report) for report in reports]
    steps = [step for report in read for step in report.steps]
    rows_in, rows_out = read[0].rows_in, read[-1].rows_out
    if rows_in and not rows_out:
        worst = max(steps, key=lambda step: step.dropped)
        log.warning(
            "dataset %s: the recipe drops all %d rows of the sample; most, %d, by %s",
            *(dataset, rows_in, worst.dropped, worst.operator),
        )
    else:
        log.info("dataset %s: the sample of %d rows became %d", dataset, rows_in, rows_out)
    write_json(output, {"rows_in": rows_in, "rows_out": rows_out, "steps": [step.model_dump() for step in steps]})
