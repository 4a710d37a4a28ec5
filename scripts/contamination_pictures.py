"""Show the contamination's examples: small pictures of the questions and of the training rows, and a page of them."""

import argparse
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Read the images that the examples name, and write their thumbnails and the page."""
    from syntune.artifacts.findings import Findings
    from syntune.artifacts.reading import read_json_file
    from syntune.artifacts.remaking import remake
    from syntune.benchmarks.registry import load_benchmark
    from syntune.contamination.page import render_pairs
    from syntune.contamination.pictures import example_pictures
    from syntune.files import write_json
    from syntune.settings.benchmarks import BenchmarkSettings
    from syntune.settings.reading import read_params

    sections = read_params(args.benchmarks, dict[str, BenchmarkSettings])
    protocols = [load_benchmark(section, name) for name, section in sections.items()]
    findings = read_json_file(args.findings, Findings, remake(args.findings))
    pictures = example_pictures(findings, protocols, args.dataset_manifest)
    write_json(args.output, pictures.as_written())
    render_pairs(findings, pictures, args.page)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--findings", type=Path, required=True, help="what was found in the dataset (JSON)")
    parser.add_argument("--benchmarks", required=True, help="every benchmark's settings by name, as JSON or @FILE")
    parser.add_argument("--dataset-manifest", type=Path, required=True, help="manifest of the shards")
    parser.add_argument("--output", type=Path, required=True, help="where the thumbnails are written (JSON)")
    parser.add_argument("--page", type=Path, required=True, help="the page to write (HTML)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
