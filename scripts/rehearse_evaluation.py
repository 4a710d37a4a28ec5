"""Load the rehearsed checkpoints as prediction will, and answer two questions of each benchmark."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write what was checked; it holds no answer, so it changes only when something else does."""
    from syntune.benchmarks.registry import load_benchmark
    from syntune.files import write_json
    from syntune.gpus import take_gpus
    from syntune.interpreter import describe_interpreter
    from syntune.prediction.device import choose_device, dtype_name
    from syntune.prediction.identity import PACKAGES
    from syntune.prediction.rehearsal import rehearse
    from syntune.settings.benchmarks import BenchmarkSettings
    from syntune.settings.pixels import PixelSettings
    from syntune.settings.reading import read_params

    take_gpus(args.gpus)
    device, dtype = choose_device(args.gpus, args.threads)
    benchmarks = read_params(args.benchmarks, dict[str, BenchmarkSettings])
    pixels = read_params(args.pixels, PixelSettings)
    protocols = [load_benchmark(settings, name) for name, settings in benchmarks.items()]
    checked = rehearse(protocols, args.checkpoints, device, dtype, args.threads, pixels, args.base_precision)
    interpreter = describe_interpreter(PACKAGES)
    write_json(args.output, {"run": args.run, "dtype": dtype_name(dtype), **checked, "interpreter": interpreter})


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        nargs="+",
        required=True,
        help="a full checkpoint, then what was trained on it, in order",
    )
    parser.add_argument("--benchmarks", required=True, help="the settings of every benchmark, as JSON or @FILE")
    parser.add_argument("--gpus", type=int, choices=(0, 1), default=1, help="1: the GPU, bfloat16; 0: the CPU, float32")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--pixels", default="{}", help="how images are seen, as JSON or @FILE")
    parser.add_argument("--base-precision", default="bf16", help="of the base's products while the run is trained")
    parser.add_argument("--output", type=Path, required=True, help="what was checked (JSON)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "eval")
