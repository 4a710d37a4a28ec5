"""Write the page of a benchmark's answers: every question with each run's answer, to be searched and filtered."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Read the questions, the answers and their scores, and write the page."""
    from syntune.answers_page.page import render_answers_page
    from syntune.answers_page.reading import read_answers
    from syntune.benchmarks.registry import load_benchmark
    from syntune.settings.benchmarks import BenchmarkSettings
    from syntune.settings.reading import read_params

    protocol = load_benchmark(read_params(args.settings, BenchmarkSettings), args.benchmark)
    render_answers_page(read_answers(protocol, args.predictions, args.scores), args.output)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--benchmark", required=True, help="name of the benchmark")
    parser.add_argument("--settings", required=True, help="the benchmark's settings, as JSON or @FILE")
    files = {"type": Path, "nargs": "+", "required": True}
    parser.add_argument("--predictions", **files, help="a file for each run, in the order of the page (JSON lines)")
    parser.add_argument("--scores", **files, help="a file for each run, in the same order (JSON)")
    parser.add_argument("--output", type=Path, required=True, help="page to write")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "eval")
