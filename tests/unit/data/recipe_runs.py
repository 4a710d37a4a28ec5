"""A recipe run as the rules run it, stage by stage, by the commands themselves."""

import json
from pathlib import Path

import pyarrow.parquet as pq

import gather_synthesis
import percentiles
import select_rows
import synthesize
from syntune.artifacts.manifests import read_manifest
from syntune.data.synthesis import write_report
from syntune.files import read_jsonl, write_jsonl
from syntune.recipes.reading import read_recipe
from syntune.recipes.stages import stages_of

FOLDER = Path("results/synth/d")
MANIFEST, LINEAGE = Path("results/synth/d.manifest.json"), Path("results/synth/d.lineage.parquet")


def run(command, **options) -> None:
    """Run a command's ``main`` with options by their names."""
    arguments = []
    for name, value in options.items():
        values = value if isinstance(value, list) else [value]
        arguments += [f"--{name.replace('_', '-')}", *map(str, values)]
    command.main(command.parser().parse_args(arguments))


def run_recipe(recipe: Path, seed_manifest: Path, kept: Path = Path("results/cache"), **options) -> list[dict]:
    """Run a recipe on the chunks of a seed; returns the rows.

    Models stages are not run: their chunks are expected to lie there.
    """
    steps = read_recipe(recipe)
    rows = [seed_manifest.parent / part.path for part in read_manifest(seed_manifest).parts]
    edges = [seed_manifest] * len(rows)
    folders = []
    names = {"dataset": "d", "recipe": recipe}
    for stage in stages_of(steps, str(recipe)):
        folder = FOLDER / str(stage.number)
        operators = json.dumps(stage.operators)
        found = ""
        if stage.percentiles:
            found = folder / "percentiles.json"
            run(percentiles, dataset="d", operators=operators, chunks=rows, output=found)
        outputs = [folder / file.name for file in rows]
        if stage.kind == "global":
            columns = [file.with_suffix(".columns.parquet") for file in rows]
            files = {"chunks": rows, "edges": edges, "columns": columns}
            manifest = folder.with_name(f"{folder.name}.manifest.json")
            run(select_rows, **names, operators=operators, **files, output=folder, manifest=manifest)
        elif stage.kind == "rows":
            for file, edge, output in zip(rows, edges, outputs, strict=True):
                stem = folder / output.stem
                run(
                    synthesize,
                    **{**names, "operators": operators, "chunk": file, "edge": edge, "percentiles": found},
                    **{"kept": kept / str(stage.number) / output.stem, "output": output, "report": f"{stem}.json"},
                    **{"lineage": f"{stem}.lineage.parquet", "columns": f"{stem}.columns.parquet", **options},
                )
        rows, edges = outputs, [file.with_suffix(".json") for file in outputs]
        folders.append(folder)
    names = [file.stem.removeprefix("chunk-") for file in rows]
    run(
        gather_synthesis,
        **{"dataset": "d", "recipe": json.dumps(steps), "seed_manifest": seed_manifest, "stages": folders},
        **{"chunks": names, "manifest": MANIFEST, "lineage": LINEAGE},
    )
    return [row for file in rows for row in read_jsonl(file)]


def run_on_rows(recipe: list[tuple[str, dict]], rows: list[dict]) -> list[dict]:
    """Run operators on rows that are no seed's, in one chunk."""
    first = Path("results/synth/d/0/chunk-00000.jsonl")
    write_jsonl(first, rows)
    write_report(first.with_suffix(".json"), first, len(rows), len(rows), [])
    chunk = first
    for stage in stages_of(recipe, "recipe"):
        folder, operators = FOLDER / str(stage.number), json.dumps(stage.operators)
        output, edge = folder / chunk.name, chunk.with_suffix(".json")
        stem = folder / chunk.stem
        if stage.kind == "global":
            columns = chunk.with_suffix(".columns.parquet")
            manifest = Path(f"{folder}.manifest.json")
            files = {"chunks": chunk, "edges": edge, "columns": columns, "output": folder, "manifest": manifest}
            run(select_rows, dataset="d", recipe="recipe.yaml", operators=operators, **files)
        else:
            files = {"chunk": chunk, "edge": edge, "kept": "kept", "output": output, "report": f"{stem}.json"}
            more = {"lineage": f"{stem}.lineage.parquet", "columns": f"{stem}.columns.parquet"}
            run(synthesize, dataset="d", recipe="recipe.yaml", operators=operators, **files, **more)
        chunk = output
    return list(read_jsonl(chunk))


def pairs_told() -> list[tuple[str, str, float]]:
    """The rows that stayed and went as near-duplicates, and their distances, as the lineage of the last stage tells."""
    last = max(FOLDER.glob("*/*.lineage.parquet"), key=lambda file: int(file.parent.name))
    events = pq.read_table(last).to_pylist()
    return [(event["limit"].split("duplicate of ")[1], event["row_id"], event["value"]) for event in events]
