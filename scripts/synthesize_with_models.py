"""Run a models stage of a recipe on one chunk."""

import argparse
from pathlib import Path

from syntune.command import run_command
from syntune.errors import UserError


def main(args: argparse.Namespace) -> None:
    """Refuse: no model operators are here."""
    raise UserError(f"dataset {args.dataset}: operators that run models are not here")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--operators", required=True, help="the stage's operators, as JSON: [[name, parameters], ...]")
    parser.add_argument("--models", required=True, help="the models that they name, as JSON")
    parser.add_argument("--chunk", type=Path, required=True, help="rows to read (JSONL)")
    parser.add_argument("--percentiles", default="", help="values of percentiles that the first operator names")
    parser.add_argument("--cache", type=Path, required=True, help="folder of scores and captions made before")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--output", type=Path, required=True, help="rows to write (JSONL)")
    parser.add_argument("--report", type=Path, required=True, help="report to write (JSON)")
    parser.add_argument("--lineage", type=Path, required=True, help="lineage to write (Parquet)")
    parser.add_argument("--scores", type=Path, required=True, help="scores to write (Parquet)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "synth-models")
