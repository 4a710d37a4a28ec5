"""Train one step on a handful of rows, and save it as training will."""

import argparse
from pathlib import Path

from syntune.command import run_command

ROWS, STEPS = 4, 1


def main(args: argparse.Namespace) -> None:
    """Train a run of one step, with everything else as the run has it."""
    import tempfile

    from syntune.settings.reading import read_params
    from syntune.settings.runs import TrainedRunSettings
    from syntune.training.run import Job, train_run

    settings = read_params(args.settings, TrainedRunSettings)
    # without warm-up: at the first step of one the learning rate is zero, and nothing would be seen to learn
    at_once = settings.optimizer.model_copy(update={"warmup_ratio": 0.0})
    once = {"max_steps": STEPS, "global_batch_size": ROWS, "gpus": min(settings.gpus, 1), "optimizer": at_once}
    args.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.checkpoint.parent, prefix=".work.") as work:
        train_run(
            Job(
                run=args.run,
                settings=settings.model_copy(update=once),
                dataset=args.dataset_manifest,
                starts=[args.start],
                start_manifests=[args.start_manifest],
                work=Path(work),
                checkpoint=args.checkpoint,
                manifest=args.manifest,
                stage="rehearse_training",
            )
        )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument("--settings", required=True, help="the run's settings, as JSON or @FILE")
    parser.add_argument("--dataset-manifest", type=Path, required=True, help="manifest of the shards to train on")
    parser.add_argument("--start", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--start-manifest", type=Path, required=True, help="its manifest")
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder to write")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest to write")
    parser.add_argument("--environment", default="train", help="env spec that this runs in: train or train-cuda")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "train")
