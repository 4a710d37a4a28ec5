"""Gather the synthesised chunks and run the rest of the recipe: from the first operator that sees all rows."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the dataset's rows and their manifest."""
    from syntune.data.juicer import load_operators, prepare_data_juicer
    from syntune.data.synthesis import gather_chunks
    from syntune.recipes.reading import read_recipe

    prepare_data_juicer(produced=args.output.with_suffix("") / "gathered")
    import syntune.operators.registered  # noqa: F401

    recipe = read_recipe(args.recipe)
    operators = load_operators(recipe, args.recipe)
    gather_chunks(
        args.dataset,
        operators,
        chunks=args.chunks,
        reports=args.reports,
        seed_manifest=args.seed_manifest,
        recipe=recipe,
        output=args.output,
        manifest=args.manifest,
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--recipe", type=Path, required=True, help="Data-Juicer recipe (YAML)")
    parser.add_argument("--seed-manifest", type=Path, required=True, help="manifest of the seed")
    parser.add_argument("--chunks", type=Path, nargs="+", required=True, help="rows of the chunks, in order")
    parser.add_argument("--reports", type=Path, nargs="+", required=True, help="reports of the chunks, in order")
    parser.add_argument("--output", type=Path, required=True, help="rows to write (JSONL)")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
