"""Run the operators of a recipe's models stage on one chunk: scores of images and texts, new captions."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the chunk's rows, a report, the lineage and the scores."""
    from syntune.artifacts.reports import check_chunk
    from syntune.gpus import take_gpus
    from syntune.model_operators.given import Given, NamedModel, check_given
    from syntune.recipes.model_parameters import read_model_operator
    from syntune.recipes.percentiles import read_percentiles
    from syntune.settings.pixels import PixelSettings
    from syntune.settings.reading import read_params

    operators = [
        (name, read_model_operator(name, parameters, f"--operators: {name}"))
        for name, parameters in read_params(args.operators, list[tuple[str, dict]])
    ]
    given = read_params(args.models, dict[str, Given])
    models = {name: NamedModel(name, model.settings, model.folder) for name, model in given.items()}
    check_given(operators, models)
    check_chunk(args.chunk, args.edge)
    take_gpus(int(args.gpus != 0 and any(model.folder for model in models.values())))  # an endpoint needs none

    from syntune.model_operators.device import choose_device
    from syntune.model_operators.stage import ModelsStage

    stage = ModelsStage(
        operators,
        models,
        read_percentiles(args.percentiles),
        cache=args.cache,
        device=choose_device(args.gpus, args.threads),
        threads=args.threads,
        pixels=read_params(args.pixels, PixelSettings),
    )
    stage.run(args.chunk, output=args.output, report=args.report, lineage=args.lineage, scores=args.scores)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--operators", required=True, help="name and parameters of each operator, as JSON or @FILE")
    parser.add_argument(
        "--models", required=True, help="settings and prepared folder of each model by name, as JSON or @FILE"
    )
    parser.add_argument("--chunk", type=Path, required=True, help="rows to read (JSONL)")
    parser.add_argument("--edge", type=Path, required=True, help="the report or manifest that vouches for these rows")
    parser.add_argument("--percentiles", default="", help="thresholds that are percentiles (JSON); empty: none")
    parser.add_argument("--pixels", default="{}", help="how images are seen, as JSON or @FILE")
    parser.add_argument("--cache", type=Path, required=True, help="folder of what models found before")
    parser.add_argument(
        "--gpus", type=int, choices=(0, 1), help="1: the GPU; 0: the CPU; left out: the GPU where there is one"
    )
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--output", type=Path, required=True, help="rows to write (JSONL)")
    parser.add_argument("--report", type=Path, required=True, help="report to write (JSON)")
    parser.add_argument("--lineage", type=Path, required=True, help="what became of rows, to write (Parquet)")
    parser.add_argument("--scores", type=Path, required=True, help="scores to write (Parquet)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "synth-models")
