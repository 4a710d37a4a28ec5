"""Train a few steps of a run, and save what was trained as training will."""

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from syntune.command import run_command

if TYPE_CHECKING:
    from syntune.settings.runs import TrainedRunSettings

STEPS = 3
"""On GPUs, each of the run's heaviest rows: by the second the optimizer has its state and programs are compiled, by the
third no images are left that were decoded meanwhile."""

ROWS = 4
"""On a CPU, in the only step."""


def main(args: argparse.Namespace) -> None:
    """Train a run for so long, with everything else as the run has it; on several GPUs, with one process for each."""
    from syntune.artifacts.clearances import Rehearsed, rehearsed_fingerprint
    from syntune.artifacts.manifests import read_manifest
    from syntune.files import write_json
    from syntune.settings.reading import read_params
    from syntune.settings.runs import TrainedRunSettings
    from syntune.settings.steps import refuse_too_few_rows

    settings = read_params(args.settings, TrainedRunSettings)
    if "RANK" in os.environ:
        rehearse(args, settings)
        return
    # before anything else: what is rehearsed is the code, the settings and the data as they are now
    dataset = read_manifest(args.dataset_manifest)
    rehearsed = rehearsed_fingerprint(settings, dataset, read_manifest(args.start_manifest))
    refuse_too_few_rows(args.run, settings, dataset.rows_out)
    work = work_folder(args)
    shutil.rmtree(work, ignore_errors=True)  # a rehearsal never goes on with an earlier one
    rehearse(args, settings)
    shutil.rmtree(work)
    write_json(args.rehearsed, Rehearsed(run=args.run, fingerprint=rehearsed).as_written())


def work_folder(args: argparse.Namespace) -> Path:
    """Where the rehearsal trains."""
    return args.checkpoint.parent / "work"


def rehearse(args: argparse.Namespace, settings: "TrainedRunSettings") -> None:
    """Train, in as many processes as there are GPUs."""
    from syntune.training.job import Job
    from syntune.training.launch import launch
    from syntune.training.run import train_run

    if launch(sys.argv, settings):
        return
    changes = {}
    if not settings.gpus:
        # without warm-up: at the first step of one the learning rate is zero, and nothing would be seen to learn
        at_once = settings.optimizer.model_copy(update={"warmup_ratio": 0.0})
        changes = {"max_steps": 1, "global_batch_size": ROWS, "optimizer": at_once}
    train_run(
        Job(
            run=args.run,
            settings=settings.model_copy(update=changes),
            dataset=args.dataset_manifest,
            holdout=args.holdout,
            starts=[args.start],
            start_manifests=[args.start_manifest],
            work=work_folder(args),
            checkpoint=args.checkpoint,
            manifest=args.manifest,
            stage="rehearse_training",
            rehearses=settings,
            rehearsed_steps=STEPS if settings.gpus else None,
        )
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument("--settings", required=True, help="the run's settings, as JSON or @FILE")
    parser.add_argument("--dataset-manifest", type=Path, required=True, help="manifest of the shards to train on")
    parser.add_argument("--holdout", type=Path, nargs="?", help="manifest of its held-out rows, for validation")
    parser.add_argument("--start", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--start-manifest", type=Path, required=True, help="its manifest")
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder to write")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest to write")
    parser.add_argument("--rehearsed", type=Path, required=True, help="where it is written what was rehearsed (JSON)")
    parser.add_argument("--environment", default="train", help="env spec that this runs in: train or train-cuda")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "train")
