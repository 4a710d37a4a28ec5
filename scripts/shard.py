"""Write a dataset as a fixed number of Parquet shards with the images inside."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the shards and their manifest."""
    from syntune.data.shards import write_shards
    from syntune.settings.datasets import DatasetSettings
    from syntune.settings.reading import read_params

    settings = read_params(args.settings, DatasetSettings)
    write_shards(
        args.dataset,
        settings,
        args.rows_manifest,
        dict(args.mix),
        args.shards,
        args.manifest,
        lineage=args.lineage,
        synthesis_lineage=dict(args.synthesis_lineage),
        holdouts=dict(args.held_out),
    )


def named_path(argument: str) -> tuple[str, Path]:
    """``NAME=PATH`` taken apart."""
    name, equals, path = argument.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{argument!r} is not NAME=FILE")
    return name, Path(path)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--settings", required=True, help="the dataset's settings, as JSON or @FILE")
    parser.add_argument("--rows-manifest", type=Path, required=True, help="manifest of the rows")
    parser.add_argument(
        "--mix", type=named_path, nargs="*", default=[], metavar="NAME=MANIFEST", help="datasets that are mixed in"
    )
    parser.add_argument("--shards", type=Path, required=True, help="folder for the shards")
    parser.add_argument(
        "--synthesis-lineage",
        type=named_path,
        nargs="*",
        default=[],
        metavar="NAME=LINEAGE",
        help="lineages of the datasets with a recipe, this one's and those mixed in",
    )
    parser.add_argument(
        "--held-out",
        type=named_path,
        nargs="*",
        default=[],
        metavar="NAME=MANIFEST",
        help="what the config's datasets hold out: no row about such an image is kept",
    )
    parser.add_argument("--lineage", type=Path, required=True, help="lineage to write (Parquet)")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
