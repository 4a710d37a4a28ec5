"""Write the manifest and the lineage of a synthesised dataset; its rows stay where its last stage wrote them."""

import argparse
import json
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write manifest and lineage."""
    from syntune.artifacts.reports import check_chunk
    from syntune.data.synthesis import gather

    files = [[folder / f"chunk-{chunk}" for chunk in args.chunks] for folder in args.stages]
    rows = [file.with_suffix(".jsonl") for file in files[-1]]
    for chunk in rows:
        check_chunk(chunk, chunk.with_suffix(".json"))
    gather(
        args.dataset,
        [(name, parameters) for name, parameters in json.loads(args.recipe)],
        chunks=rows,
        reports=[[file.with_suffix(".json") for file in stage] for stage in files],
        lineages=[file.with_suffix(".lineage.parquet") for stage in files for file in stage],
        seed_manifest=args.seed_manifest,
        lineage=args.lineage,
        manifest=args.manifest,
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--recipe", required=True, help="the recipe's operators, as JSON: [[name, parameters], ...]")
    parser.add_argument("--seed-manifest", type=Path, required=True, help="manifest of the seed")
    parser.add_argument("--stages", type=Path, nargs="+", required=True, help="folders of the stages, in order")
    parser.add_argument("--chunks", nargs="+", required=True, help="the chunks, in order: 00000, 00001, ...")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest to write")
    parser.add_argument("--lineage", type=Path, required=True, help="lineage to write (Parquet)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
