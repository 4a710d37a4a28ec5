"""Read a seed's records, check each image, and write canonical Data-Juicer rows in chunks."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the chunks and their manifest."""
    from syntune.data.ingest import ingest_seed
    from syntune.settings.reading import read_params
    from syntune.settings.seeds import SeedSettings

    ingest_seed(args.name, read_params(args.settings, SeedSettings), args.rows, args.manifest, args.quarantine)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="name of the seed")
    parser.add_argument("--settings", required=True, help="the seed's settings, as JSON or @FILE")
    parser.add_argument("--rows", type=Path, required=True, help="folder for the chunks")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest to write")
    parser.add_argument("--quarantine", type=Path, help="list of dropped records (default: beside the manifest)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
