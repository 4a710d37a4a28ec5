"""Tell what became of the sample, before a seed is processed."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write what the recipe made of the sample."""
    from syntune.data.synthesis import rehearsed

    rehearsed(args.dataset, args.reports, args.output)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--reports", type=Path, nargs="+", required=True, help="the sample's reports, stage by stage")
    parser.add_argument("--output", type=Path, required=True, help="file to write (JSON)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
