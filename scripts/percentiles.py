"""Find the thresholds of a recipe that are percentiles, over all chunks of the stage before."""

import argparse
import json
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the values found."""
    from syntune.artifacts.reports import check_chunk
    from syntune.data.percentiles import find_percentiles
    from syntune.recipes.stages import Stage

    for chunk in args.chunks:
        check_chunk(chunk, chunk.with_suffix(".json"))
    operators = [(name, parameters) for name, parameters in json.loads(args.operators)]
    find_percentiles(Stage(0, "", operators), args.chunks, args.output)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--operators", required=True, help="the operators of the stage that uses them, as JSON")
    parser.add_argument("--chunks", type=Path, nargs="+", required=True, help="rows of the stage before (JSONL)")
    parser.add_argument("--output", type=Path, required=True, help="values to write (JSON)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
