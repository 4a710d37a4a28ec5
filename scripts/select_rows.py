"""Run a global stage of a recipe: operators that compare or choose among the rows of all chunks."""

import argparse
import json
from pathlib import Path

from syntune.command import run_command
from syntune.planned import require_planned_code, require_planned_files


def main(args: argparse.Namespace) -> None:
    """Write the rows that are left, chunk by chunk, each with its report and lineage."""
    from syntune.artifacts.manifests import Part, write_manifest
    from syntune.artifacts.reports import check_chunk
    from syntune.data.juicer import prepare_data_juicer
    from syntune.data.selection import Chunk, select_rows
    from syntune.data.synthesis import write_report
    from syntune.files import atomic_directory

    for module in args.code:
        require_planned_code(module)
    require_planned_files(args.files)
    for rows, edge in zip(args.chunks, args.edges, strict=True):
        check_chunk(rows, edge)
    prepare_data_juicer(produced=args.output / "made")
    operators = [(name, parameters) for name, parameters in json.loads(args.operators)]
    with atomic_directory(args.output) as folder:
        chunks = [
            Chunk(rows, columns, folder / rows.name, folder / f"{rows.stem}.lineage.parquet")
            for rows, columns in zip(args.chunks, args.columns, strict=True)
        ]
        steps = select_rows(operators, chunks, args.recipe)
        for chunk, done in zip(chunks, steps, strict=True):
            write_report(chunk.output.with_suffix(".json"), chunk.output, done[0].rows_in, done[-1].rows_out, done)
    root = args.manifest.parent
    parts = [
        Part.from_file(args.output / rows.name, root, done[-1].rows_out)
        for rows, done in zip(args.chunks, steps, strict=True)
    ]
    write_manifest(args.manifest, stage="select_rows", name=args.dataset, parts=parts, packages=("py-data-juicer",))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--recipe", required=True, help="the recipe's file, for messages to name")
    parser.add_argument("--operators", required=True, help="the stage's operators, as JSON: [[name, parameters], ...]")
    parser.add_argument("--chunks", type=Path, nargs="+", required=True, help="rows to read (JSONL), in order")
    parser.add_argument(
        "--edges", type=Path, nargs="+", required=True, help="the reports that vouch for them, in order"
    )
    parser.add_argument("--columns", type=Path, nargs="+", required=True, help="their columns (Parquet), in order")
    parser.add_argument("--code", nargs="*", default=[], help="modules of the project's own operators among them")
    parser.add_argument("--files", nargs="*", default=[], help="PATH SHA256 of each file that their parameters name")
    parser.add_argument("--output", type=Path, required=True, help="folder to write rows, reports and lineages to")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of that folder to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
