"""Write easy-VQA (from PyPI) as the demo's seed and as stand-ins for TextVQA and MMBench."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Write the seed, both benchmarks and their manifest into one folder."""
    from syntune.artifacts.manifests import Part, write_manifest
    from syntune.data.easy_vqa import write_benchmarks, write_seed

    written = [*write_seed(args.output), *write_benchmarks(args.output)]
    write_manifest(
        args.output / "manifest.json",
        stage="easy_vqa",
        name="easy-vqa",
        parts=[Part.from_file(file, args.output, rows) for file, rows in written],
        packages=("easy-vqa",),
    )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder for seed.jsonl, images/, textvqa/, mmbench/")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
