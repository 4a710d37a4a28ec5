"""Ask a trained run about a picture, as predict asks it."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Print the answers, each under its question."""
    from syntune.prediction.asking import ask

    answers = ask(args.config, args.run, args.picture, args.questions, args.gpus, args.max_new_tokens)
    for question, answer in zip(args.questions, answers, strict=True):
        print(f"{question}\n    {answer.strip() or '(empty)'}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", metavar="RUN", help="name of the run, in the config")
    parser.add_argument("picture", metavar="PICTURE", type=Path, help="the image file")
    parser.add_argument("questions", metavar="QUESTION", nargs="+", help="what to ask, word for word")
    parser.add_argument("--config", default="config.yaml", help="the config that has the run (config.yaml)")
    parser.add_argument("--gpus", type=int, choices=(0, 1), help="1: the GPU; 0: the CPU; by default as the run")
    parser.add_argument("--max-new-tokens", type=int, default=128, help="longest answer, in tokens (128)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "eval")
