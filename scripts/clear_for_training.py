"""Clear a run for training: its data hold few benchmark questions. Say what was rehearsed, and what it will take."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Judge what was found in the data, predict the training, and write the clearance."""
    from syntune.artifacts.clearances import Clearance, Rehearsed
    from syntune.artifacts.findings import Findings
    from syntune.artifacts.reading import read_json_file
    from syntune.artifacts.remaking import remake
    from syntune.contamination.limits import check_findings
    from syntune.files import write_json
    from syntune.planning.runs import plan_training
    from syntune.settings.contamination import ContaminationSettings
    from syntune.settings.reading import read_params
    from syntune.settings.runs import TrainedRunSettings

    limits = read_params(args.contamination, ContaminationSettings)
    for path, page in zip(args.findings, args.pages, strict=True):
        check_findings(read_json_file(path, Findings, remake(path)), limits, page)
    settings = read_params(args.settings, TrainedRunSettings)
    write_json(args.planned, plan_training(args.run, settings, args.dataset_manifest, args.base).as_written())
    rehearsed = read_json_file(args.rehearsed, Rehearsed, remake(args.rehearsed)).fingerprint
    write_json(args.output, Clearance(fingerprint=rehearsed, upstream=args.upstream).as_written())


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument("--settings", required=True, help="the run's settings, as JSON or @FILE")
    parser.add_argument("--dataset-manifest", type=Path, required=True, help="manifest of the shards to train on")
    parser.add_argument("--base", type=Path, required=True, help="folder of the base model at the run's root")
    parser.add_argument("--rehearsed", type=Path, required=True, help="what the rehearsal trained (JSON)")
    parser.add_argument("--findings", type=Path, nargs="*", default=[], help="what was found in each dataset (JSON)")
    parser.add_argument("--pages", nargs="*", default=[], help="the page of each dataset's findings, to be named")
    parser.add_argument("--contamination", required=True, help="the settings of contamination, as JSON or @FILE")
    parser.add_argument("--upstream", required=True, help="digest of all that the plan knew upstream of the training")
    parser.add_argument("--planned", type=Path, required=True, help="the prediction to write (JSON)")
    parser.add_argument("--output", type=Path, required=True, help="the clearance to write (JSON)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
