"""Clear a run for training: say what was rehearsed, and what the plan knew of all that it is made from."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the clearance."""
    from syntune.artifacts.clearances import Clearance, Rehearsed
    from syntune.artifacts.reading import REMAKE, read_json_file
    from syntune.files import write_json

    rehearsed = read_json_file(args.rehearsed, Rehearsed, REMAKE).fingerprint
    write_json(args.output, Clearance(fingerprint=rehearsed, upstream=args.upstream).as_written())


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearsed", type=Path, required=True, help="what the rehearsal trained (JSON)")
    parser.add_argument("--upstream", required=True, help="digest of all that the plan knew upstream of the training")
    parser.add_argument("--output", type=Path, required=True, help="the clearance to write (JSON)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
