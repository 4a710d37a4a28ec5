"""Score a run's answers to a benchmark: from predictions and annotations alone, without a model or an image."""

import argparse
import logging
from pathlib import Path

from syntune.command import run_command

log = logging.getLogger("score")


def main(args: argparse.Namespace) -> None:
    """Check the predictions, then write what was asked for; answers that can't be scored are told in the score file."""
    from syntune.benchmarks.predictions import empty_answers, read_predictions
    from syntune.benchmarks.reference_answers import write_reference_answers
    from syntune.benchmarks.registry import load_benchmark
    from syntune.errors import UserError
    from syntune.settings.benchmarks import BenchmarkSettings
    from syntune.settings.reading import read_params

    if not (args.output or args.submission or args.reference_answers):
        raise UserError("nothing to do: give --output, --submission or --reference-answers")
    protocol = load_benchmark(read_params(args.settings, BenchmarkSettings), args.benchmark)
    every = protocol.all_questions()
    questions = protocol.limited(every)
    predictions = read_predictions(args.predictions, questions)
    texts = [prediction.text for prediction in predictions]
    if (args.submission or args.reference_answers) and (fault := empty_answers(protocol, predictions)):
        raise UserError(f"{args.predictions}: {fault}")
    if args.submission:
        protocol.submission(questions, texts, args.submission)
    if args.reference_answers:
        write_reference_answers(protocol, questions, texts, args.run, args.reference_answers)
    if args.output:
        # imported here because statistics take seconds, and submissions do without them
        from syntune.artifacts.scores import NotScored
        from syntune.benchmarks.findings import read_contaminated
        from syntune.benchmarks.scoring import score_run
        from syntune.files import write_json

        contaminated = [read_contaminated(path, protocol.name, questions) for path in args.contamination]
        score = score_run(args.run, protocol, every, predictions, contaminated)
        if isinstance(score, NotScored):
            log.warning("not scored: %s", score.not_scored)
        write_json(args.output, score.as_written())


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", required=True, help="name of the run that answered")
    parser.add_argument("--benchmark", required=True, help="name of the benchmark")
    parser.add_argument("--settings", required=True, help="the benchmark's settings, as JSON or @FILE")
    parser.add_argument("--predictions", type=Path, required=True, help="the run's answers (JSON lines)")
    parser.add_argument(
        "--contamination", type=Path, nargs="*", default=[], help="findings of each dataset that the run is trained on"
    )
    parser.add_argument("--output", type=Path, help="where the score is written (JSON)")
    parser.add_argument("--submission", type=Path, help="write the file for the benchmark's server too")
    parser.add_argument(
        "--reference-answers", type=Path, help="write the answers in the reference's format too (JSON lines)"
    )
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "eval")
