"""Train a run: an adapter, a connector or a whole model."""

import argparse
import sys
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Train, or go on with an interrupted training; with several GPUs, one process for each."""
    from syntune.settings.reading import read_params
    from syntune.settings.runs import TrainedRunSettings
    from syntune.training.launch import launch
    from syntune.training.run import Job, train_run

    settings = read_params(args.settings, TrainedRunSettings)
    if launch(sys.argv, settings):
        return
    train_run(
        Job(
            run=args.run,
            settings=settings,
            dataset=args.dataset_manifest,
            starts=args.start,
            start_manifests=args.start_manifests,
            work=args.work,
            checkpoint=args.checkpoint,
            manifest=args.manifest,
        )
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument("--settings", required=True, help="the run's settings, as JSON or @FILE")
    parser.add_argument("--dataset-manifest", type=Path, required=True, help="manifest of the shards to train on")
    parser.add_argument(
        "--start", type=Path, nargs="+", required=True, help="folders to start from: a full checkpoint, then adapters"
    )
    parser.add_argument("--start-manifests", type=Path, nargs="+", required=True, help="their manifests, in that order")
    parser.add_argument("--work", type=Path, required=True, help="folder in which checkpoints outlive a failed job")
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder to write")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest to write")
    parser.add_argument("--environment", default="train", help="env spec that this runs in: train or train-cuda")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "train")
