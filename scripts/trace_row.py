"""Tell a row's story: its seed row, what each operator did to it and by which score, and where its rows are now."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Print the story."""
    from syntune.data.tracing import told, trace_row

    print(told(trace_row(args.dataset, args.row, args.results)))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", metavar="DATASET", help="name of the dataset")
    parser.add_argument("row", metavar="ROW_ID", help="id of a seed row, or of a row in the shards or in the lineage")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the results")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
