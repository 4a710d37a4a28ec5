"""Export a model and the adapters on it as one checkpoint, in this project's layout or the reference MGM's."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the checkpoint."""
    from syntune.models.export import FORMATS

    FORMATS[args.format](args.chain, args.output)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--chain", type=Path, nargs="+", required=True, help="folder of a full checkpoint, then those of adapters on it"
    )
    parser.add_argument(
        "--format",
        choices=["merged", "reference", "reference-lora"],
        default="merged",
        help="merged: one checkpoint in this project's layout; reference: one that the reference MGM loads; "
        "reference-lora: the last adapter alone, in the reference's LoRA layout",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "train")
