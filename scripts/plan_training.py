"""Write down what a run's training depends on: its settings, and the content of its data and of what it starts from."""

import argparse
import json
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the plan."""
    from syntune.files import write_json
    from syntune.manifests import read_manifest

    write_json(
        args.output,
        {
            "run": args.run,
            "settings": json.loads(args.settings),
            "dataset": read_manifest(args.dataset_manifest).content,
            "starts": [read_manifest(path).content for path in args.start_manifests],
        },
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument("--settings", required=True, help="the run's settings, as JSON")
    parser.add_argument("--dataset-manifest", type=Path, required=True, help="manifest of the shards to train on")
    parser.add_argument(
        "--start-manifests", type=Path, nargs="+", required=True, help="manifests of the start's folders"
    )
    parser.add_argument("--output", type=Path, required=True, help="where the plan is written (JSON)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "report")
