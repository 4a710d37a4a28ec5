"""Answer every question of a benchmark, greedily; what was answered before by the same content is not asked again."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write a line for each question, in the benchmark's order."""
    from syntune.benchmarks.registry import load_benchmark
    from syntune.gpus import take_gpus
    from syntune.prediction.device import choose_device
    from syntune.prediction.predictions import predict
    from syntune.settings.benchmarks import BenchmarkSettings
    from syntune.settings.pixels import PixelSettings
    from syntune.settings.prediction import PredictionSettings
    from syntune.settings.reading import read_params

    take_gpus(args.gpus)
    device, dtype = choose_device(args.gpus, args.threads)
    predict(
        load_benchmark(read_params(args.benchmark_settings, BenchmarkSettings), args.benchmark),
        read_params(args.settings, PredictionSettings),
        name=f"{args.run} on {args.benchmark}",
        checkpoints=args.checkpoints,
        manifests=args.manifests,
        device=device,
        dtype=dtype,
        threads=args.threads,
        slice_index=args.slice,
        cache=args.cache,
        output=args.output,
        pixels=read_params(args.pixels, PixelSettings),
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="name of the run that answers")
    parser.add_argument("--benchmark", required=True, help="name of the benchmark")
    parser.add_argument("--benchmark-settings", required=True, help="the benchmark's settings, as JSON or @FILE")
    parser.add_argument("--settings", default="{}", help="the settings of prediction, as JSON or @FILE")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        nargs="+",
        required=True,
        help="a full checkpoint, then the adapters on it, in order",
    )
    parser.add_argument("--manifests", type=Path, nargs="+", required=True, help="the manifest of each checkpoint")
    parser.add_argument("--gpus", type=int, choices=(0, 1), default=1, help="1: the GPU, bfloat16; 0: the CPU, float32")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--pixels", default="{}", help="how images are seen, as JSON or @FILE")
    parser.add_argument("--slice", type=int, default=0, help="which slice of the questions, from 0")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the answers that were given before")
    parser.add_argument("--output", type=Path, required=True, help="predictions to write (JSON lines)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "eval")
