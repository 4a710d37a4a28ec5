"""Set runs side by side, question by question: every run beside the baseline run, or the pairs that are given."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the comparison as JSON, as tab-separated values and as text, and print the text."""
    from syntune.artifacts.scores import read_score
    from syntune.benchmarks.comparison import beside_baseline, compare_runs
    from syntune.benchmarks.comparison_table import plain_text, tab_separated
    from syntune.files import atomic_file, write_json
    from syntune.settings.comparisons import ComparedPair
    from syntune.settings.reading import read_params

    scores = [read_score(path) for path in args.scores]
    if args.trainings:
        trainings = read_params(args.trainings, dict[str, list[str]])
    else:
        trainings = {score.run: [score.run] for score in scores}
    pairs = read_params(args.pairs, list[ComparedPair]) if args.pairs else beside_baseline(trainings, args.baseline)
    comparison = compare_runs(scores, args.baseline, trainings, pairs)
    for path, text in ((args.table, tab_separated(comparison)), (args.text, plain_text(comparison))):
        with atomic_file(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    write_json(args.output, comparison.as_written())
    print(plain_text(comparison), end="")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, nargs="+", required=True, help="score files of every training")
    parser.add_argument("--baseline", required=True, help="the run that the others are compared with")
    parser.add_argument("--trainings", help="each run's trainings, as JSON or @FILE; without it, one each")
    parser.add_argument("--pairs", help="the pairs, as JSON or @FILE; without it, each run beside the baseline")
    parser.add_argument("--output", type=Path, required=True, help="where the comparison is written (JSON)")
    parser.add_argument("--table", type=Path, required=True, help="the same as a table (TSV), in percent")
    parser.add_argument("--text", type=Path, required=True, help="the same as text for a terminal, in percent")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "eval")
