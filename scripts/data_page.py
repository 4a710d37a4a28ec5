"""Write the page of a dataset: what its recipe did, with samples, scores, pictures and counts."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Read what the data stages left behind and write the page."""
    from syntune.data_page.page import render_data_page
    from syntune.data_page.reading import read_data_records

    records = read_data_records(args.manifest, args.rows_manifest, args.seed_manifest, args.lineage)
    render_data_page(records, args.output)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="manifest of the dataset's shards")
    parser.add_argument("--rows-manifest", type=Path, required=True, help="manifest of the rows before sharding")
    parser.add_argument("--seed-manifest", type=Path, required=True, help="manifest of the seed")
    parser.add_argument("--lineage", type=Path, required=True, help="the dataset's lineage (Parquet)")
    parser.add_argument("--output", type=Path, required=True, help="page to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
