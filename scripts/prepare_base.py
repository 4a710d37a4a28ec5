"""Build or convert a base model into a full checkpoint in this project's layout, every tensor accounted for."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the checkpoint and its manifest."""
    from syntune.models.prepare import Ingredients, prepare_base
    from syntune.settings.models import ModelSettings
    from syntune.settings.reading import read_params

    settings = read_params(args.settings, ModelSettings)
    ingredients = Ingredients(args.dataset_manifest, args.base, args.base_manifest)
    prepare_base(args.name, settings, ingredients, args.model, args.manifest)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", required=True, help="name of the model")
    parser.add_argument("--settings", required=True, help="the model's settings, as JSON or @FILE")
    parser.add_argument(
        "--dataset-manifest",
        type=Path,
        nargs="?",
        help="source tiny: manifest of the dataset with the tokenizer's text",
    )
    parser.add_argument("--base", type=Path, nargs="?", help="source adapter: the checkpoint folder of its base")
    parser.add_argument("--base-manifest", type=Path, nargs="?", help="source adapter: the manifest of its base")
    parser.add_argument("--model", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--manifest", type=Path, required=True, help="manifest to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "train")
