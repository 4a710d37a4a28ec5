"""Take rows of a dataset out of training, for validation and for a benchmark of one's own."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the rows and their manifest."""
    from syntune.data.holdout_files import write_holdout
    from syntune.settings.datasets import DatasetSettings
    from syntune.settings.reading import read_params

    settings = read_params(args.settings, DatasetSettings)
    write_holdout(args.dataset, settings, args.rows_manifest, args.shard.parent, args.manifest)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--settings", required=True, help="the dataset's settings, as JSON or @FILE")
    parser.add_argument("--rows-manifest", type=Path, required=True, help="manifest of the dataset's own rows")
    parser.add_argument("--shard", type=Path, required=True, help="rows to write; their questions go beside it")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
