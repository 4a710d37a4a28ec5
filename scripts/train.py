"""Train a run: an adapter, a connector or a whole model."""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from syntune.command import run_command

if TYPE_CHECKING:
    from syntune.settings.runs import TrainedRunSettings
    from syntune.training.notice import Notice


def main(args: argparse.Namespace) -> None:
    """Train, or go on with an interrupted training, or take the checkpoint of one that was equal.

    With several GPUs this runs once more for each of them, which then trains and nothing else.
    """
    from syntune.settings.reading import read_params
    from syntune.settings.runs import TrainedRunSettings
    from syntune.training.notice import noticed
    from syntune.training.owner import owned

    settings = read_params(args.settings, TrainedRunSettings)
    with noticed(int(os.environ.get("WORLD_SIZE", settings.gpus))) as notice:
        if "RANK" in os.environ:
            train(args, settings, notice)
        else:
            with owned(args.work.with_name(f"{args.work.name}.lock")):
                take_or_train(args, settings, notice)


def take_or_train(args: argparse.Namespace, settings: "TrainedRunSettings", notice: "Notice") -> None:
    """Take the finished checkpoint of an equal training; without one, train what was rehearsed and keep it."""
    from syntune.artifacts.clearances import Clearance, rehearsed_fingerprint
    from syntune.artifacts.fingerprints import data_content, training_fingerprint
    from syntune.artifacts.manifests import read_manifest
    from syntune.artifacts.plans import PLANNED
    from syntune.artifacts.reading import read_json_file
    from syntune.artifacts.remaking import remake
    from syntune.errors import UserError
    from syntune.files import write_json
    from syntune.settings.reading import read_params
    from syntune.settings.runs import TrainedRunSettings
    from syntune.training.finished_checkpoints import FinishedCheckpoints

    dataset = read_manifest(args.dataset_manifest)
    starts = [read_manifest(path).content for path in args.start_manifests]
    fingerprint = training_fingerprint(settings, data_content(settings, dataset), starts)
    finished = FinishedCheckpoints(args.finished, settings.keep_finished)
    as_rehearsed = read_params(args.rehearsed_settings or args.settings, TrainedRunSettings)
    rehearsed = rehearsed_fingerprint(as_rehearsed, dataset, read_manifest(args.base_manifest))
    clearance = read_json_file(args.cleared, Clearance, remake(args.cleared))
    if not finished.take(fingerprint, settings, args.checkpoint, args.manifest):
        if clearance.fingerprint != rehearsed:
            args.cleared.unlink()  # so that the next call rehearses what there is then, and clears that
            args.rehearsed.unlink(missing_ok=True)
            raise UserError(
                f"run {args.run}: what would be trained now is not what was rehearsed: data, base, settings or code "
                "changed meanwhile. Nothing was trained; run snakemake again, and it is rehearsed first"
            )
        train(args, settings, notice)
        if (planned := args.cleared.with_name(PLANNED)).is_file():
            shutil.copyfile(planned, args.checkpoint / PLANNED)
        finished.put(fingerprint, args.checkpoint, args.manifest)
    shutil.rmtree(args.work, ignore_errors=True)  # not before: a job that failed until here has to go on from it
    trained_under = Clearance(fingerprint=rehearsed, upstream=clearance.upstream)
    write_json(args.checkpoint / "cleared.json", trained_under.as_written())


def train(args: argparse.Namespace, settings: "TrainedRunSettings", notice: "Notice") -> None:
    """Train, in as many processes as there are GPUs."""
    from syntune.training.job import Job
    from syntune.training.launch import launch
    from syntune.training.run import train_run

    if launch(sys.argv, settings):
        return
    train_run(
        Job(
            run=args.run,
            settings=settings,
            dataset=args.dataset_manifest,
            holdout=args.holdout,
            starts=args.start,
            start_manifests=args.start_manifests,
            work=args.work,
            checkpoint=args.checkpoint,
            manifest=args.manifest,
            tracker=args.wandb,
        ),
        notice,
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument("--settings", required=True, help="the run's settings, as JSON or @FILE")
    parser.add_argument(
        "--rehearsed-settings", help="the settings that were rehearsed, where another seed of theirs is trained"
    )
    parser.add_argument("--dataset-manifest", type=Path, required=True, help="manifest of the shards to train on")
    parser.add_argument("--holdout", type=Path, nargs="?", help="manifest of its held-out rows, for validation")
    parser.add_argument(
        "--start", type=Path, nargs="+", required=True, help="folders to start from: a full checkpoint, then adapters"
    )
    parser.add_argument("--start-manifests", type=Path, nargs="+", required=True, help="their manifests, in that order")
    parser.add_argument(
        "--base-manifest", type=Path, required=True, help="manifest of the base model at the run's root"
    )
    parser.add_argument("--cleared", type=Path, required=True, help="clearance, which names what was rehearsed (JSON)")
    parser.add_argument("--rehearsed", type=Path, required=True, help="what was rehearsed (JSON)")
    parser.add_argument("--work", type=Path, required=True, help="folder in which checkpoints outlive a failed job")
    parser.add_argument("--finished", type=Path, required=True, help="folder of the run's finished checkpoints")
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder to write")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest to write")
    parser.add_argument("--wandb", type=Path, nargs="?", help="folder for the run's metrics as W&B keeps them")
    parser.add_argument("--environment", default="train", help="env spec that this runs in: train or train-cuda")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "train")
