"""Put the predictions of a benchmark's slices together, in the benchmark's order."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the lines of all slices."""
    from syntune.benchmarks.registry import load_benchmark
    from syntune.files import write_jsonl
    from syntune.prediction.gathering import gather
    from syntune.settings.benchmarks import BenchmarkSettings
    from syntune.settings.reading import read_params

    protocol = load_benchmark(read_params(args.settings, BenchmarkSettings), args.benchmark)
    write_jsonl(args.output, [line.as_written() for line in gather(protocol, args.slices)])


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", required=True, help="name of the benchmark")
    parser.add_argument("--settings", required=True, help="the benchmark's settings, as JSON or @FILE")
    parser.add_argument("--slices", type=Path, nargs="+", required=True, help="predictions of each slice (JSON lines)")
    parser.add_argument("--output", type=Path, required=True, help="predictions to write (JSON lines)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "eval")
