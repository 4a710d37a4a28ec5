"""Synthesis in two stages: the row-wise operators on each chunk, the rest where the chunks are gathered."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from syntune.artifacts.manifests import Part, part_files, read_manifest, write_manifest
from syntune.data.juicer import Step, run_operators, split_operators
from syntune.errors import UserError
from syntune.files import canonical_json, read_json, read_jsonl, sha256_bytes, sha256_file, write_json, write_jsonl
from syntune.recipes.reading import Recipe

if TYPE_CHECKING:
    from data_juicer.ops.base_op import OP

EMPTY = "empty text"
"""The reason for dropping a row that an operator left without text."""

_COLUMNS = ("id", "images", "image_sha256", "text")


def synthesize_chunk(operators: list["OP"], seed_manifest: Path, chunk: str, output: Path, report: Path) -> None:
    """Run the row-wise operators on a seed's chunk; a chunk may end up empty, a dataset may not.

    The report counts the rows of each operator. The rows keep Data-Juicer's statistics for the operators to come.
    """
    seed = read_manifest(seed_manifest)
    (file,) = part_files(seed_manifest, f"{seed.name}/chunk-{chunk}.jsonl")
    rows = list(read_jsonl(file))
    rowwise, _ = split_operators(operators)
    made, steps = _run(rows, rowwise)
    write_jsonl(output, made)
    write_json(report, {"rows_in": len(rows), "rows_out": len(made), "steps": [step._asdict() for step in steps]})


def gather_chunks(
    dataset: str,
    operators: list["OP"],
    *,
    chunks: list[Path],
    reports: list[Path],
    seed_manifest: Path,
    recipe: Recipe,
    output: Path,
    manifest: Path,
) -> None:
    """Concatenate the chunks in order, run the operators that see all rows, and write rows and manifest.

    Raises:
        UserError: an operator failed, or no row is left.
    """
    rows = [row for chunk in chunks for row in read_jsonl(chunk)]
    read = [read_json(report) for report in reports]
    steps = _summed([[Step(**step) for step in report["steps"]] for report in read])
    _, rest = split_operators(operators)
    made, more = _run(rows, rest)
    steps += more
    if not made:
        worst = max(steps, key=lambda step: step.dropped)
        raise UserError(f"dataset {dataset}: the recipe drops every row; most, {worst.dropped}, by {worst.operator}")
    dropped: Counter[str] = Counter()
    for step in steps:
        dropped[step.operator] += step.dropped
    write_jsonl(output, ({column: row[column] for column in _COLUMNS} for row in made))
    write_manifest(
        manifest,
        stage="gather_synthesis",
        name=dataset,
        parts=[Part.from_file(output, manifest.parent, len(made))],
        packages=("py-data-juicer", "datasets", "pillow"),
        rows_in=sum(report["rows_in"] for report in read),
        rows_out=len(made),
        dropped=dict(+dropped),
        added=sum(step.added for step in steps),
        inputs={"seed": read_manifest(seed_manifest).content, "recipe": sha256_bytes(canonical_json(recipe).encode())},
        settings={"process": [{name: parameters} for name, parameters in recipe]},
        details={
            "images": len({sha256 for row in made for sha256 in row["image_sha256"]}),
            "operators": [step._asdict() for step in steps],
        },
    )


def _run(rows: list[dict], operators: list["OP"]) -> tuple[list[dict], list[Step]]:
    """Run operators, drop rows that they left without text, and hash images that they made."""
    hashes = {path: sha256 for row in rows for path, sha256 in zip(row["images"], row["image_sha256"], strict=True)}
    made, steps = run_operators(rows, operators)
    kept = [row for row in made if row["text"] and row["text"].strip()]
    if len(kept) < len(made):
        steps.append(Step(EMPTY, len(made), 0, len(made) - len(kept), len(kept)))
    for row in kept:
        for path in row["images"]:
            if path not in hashes:
                hashes[path] = sha256_file(path)
        row["image_sha256"] = [hashes[path] for path in row["images"]]
    return kept, steps


def _summed(reports: Iterable[list[Step]]) -> list[Step]:
    """The chunks' steps added up, operator by operator; a chunk that ran empty has fewer of them."""
    longest: list[Step] = []
    for steps in reports:
        for index, step in enumerate(steps):
            if index < len(longest):
                figures = zip(longest[index][1:], step[1:], strict=True)
                longest[index] = Step(step.operator, *(one + other for one, other in figures))
            else:
                longest.append(step)
    return longest
