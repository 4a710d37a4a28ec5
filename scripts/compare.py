"""Set every run beside the baseline run, question by question."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the comparison as JSON, as tab-separated values and as text, and print the text."""
    from syntune.artifacts.reading import REMAKE, read_json_file
    from syntune.artifacts.scores import Score
    from syntune.benchmarks.comparison import compare_runs
    from syntune.benchmarks.comparison_table import plain_text, tab_separated
    from syntune.files import atomic_file, write_json

    comparison = compare_runs([read_json_file(path, Score, REMAKE) for path in args.scores], args.baseline)
    for path, text in ((args.table, tab_separated(comparison)), (args.text, plain_text(comparison))):
        with atomic_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_json(args.output, comparison.as_written())
    print(plain_text(comparison), end="")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="score files of every run and benchmark")
    parser.add_argument("--baseline", required=True, help="the run that the others are compared with")
    parser.add_argument("--output", type=Path, required=True, help="where the comparison is written (JSON)")
    parser.add_argument("--table", type=Path, required=True, help="the same as a table (TSV), in percent")
    parser.add_argument("--text", type=Path, required=True, help="the same as text for a terminal, in percent")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "eval")
