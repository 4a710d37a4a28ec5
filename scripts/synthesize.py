"""Run the row-wise part of a Data-Juicer recipe on one chunk of a seed."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the chunk's rows and the report of its operators."""
    from syntune.data.juicer import load_operators, prepare_data_juicer
    from syntune.data.synthesis import synthesize_chunk
    from syntune.recipes.reading import read_recipe

    prepare_data_juicer(produced=args.output.with_suffix(""))
    import syntune.operators.registered  # noqa: F401

    operators = load_operators(read_recipe(args.recipe), args.recipe)
    synthesize_chunk(operators, args.seed_manifest, args.chunk, args.output, args.report)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--recipe", type=Path, required=True, help="Data-Juicer recipe (YAML)")
    parser.add_argument("--seed-manifest", type=Path, required=True, help="manifest of the seed")
    parser.add_argument("--chunk", required=True, help="number of the chunk: 00000, 00001, ...")
    parser.add_argument("--output", type=Path, required=True, help="rows to write (JSONL)")
    parser.add_argument("--report", type=Path, required=True, help="report to write (JSON)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
