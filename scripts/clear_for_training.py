"""Clear a run for training: its data hold few benchmark questions. Say what was rehearsed, and what the plan knew."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Judge what was found in the data, and write the clearance."""
    from syntune.artifacts.clearances import Clearance, Rehearsed
    from syntune.artifacts.findings import Findings
    from syntune.artifacts.reading import read_json_file
    from syntune.artifacts.remaking import remake
    from syntune.contamination.limits import check_findings
    from syntune.files import write_json
    from syntune.settings.contamination import ContaminationSettings
    from syntune.settings.reading import read_params

    limits = read_params(args.contamination, ContaminationSettings)
    for path, page in zip(args.findings, args.pages, strict=True):
        check_findings(read_json_file(path, Findings, remake(path)), limits, page)
    rehearsed = read_json_file(args.rehearsed, Rehearsed, remake(args.rehearsed)).fingerprint
    write_json(args.output, Clearance(fingerprint=rehearsed, upstream=args.upstream).as_written())


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearsed", type=Path, required=True, help="what the rehearsal trained (JSON)")
    parser.add_argument("--findings", type=Path, nargs="*", default=[], help="what was found in each dataset (JSON)")
    parser.add_argument("--pages", nargs="*", default=[], help="the page of each dataset's findings, to be named")
    parser.add_argument("--contamination", required=True, help="the settings of contamination, as JSON or @FILE")
    parser.add_argument("--upstream", required=True, help="digest of all that the plan knew upstream of the training")
    parser.add_argument("--output", type=Path, required=True, help="the clearance to write (JSON)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
