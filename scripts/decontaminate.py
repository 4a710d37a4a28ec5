"""Find the benchmarks' questions and images in a dataset's shards."""

import argparse
import logging
from pathlib import Path

from syntune.command import run_command

log = logging.getLogger("decontaminate")


def main(args: argparse.Namespace) -> None:
    """Search the shards, and write what was found."""
    from syntune.artifacts.findings import Findings
    from syntune.benchmarks.registry import load_benchmark
    from syntune.contamination.findings import by_benchmark
    from syntune.contamination.questions import index_questions
    from syntune.contamination.search import search_shards
    from syntune.files import write_json
    from syntune.settings.benchmarks import BenchmarkSettings
    from syntune.settings.contamination import LIMITS, ContaminationSettings
    from syntune.settings.reading import read_params

    settings = read_params(args.settings, ContaminationSettings)
    sections = read_params(args.benchmarks, dict[str, BenchmarkSettings])
    protocols = [load_benchmark(section, name) for name, section in sections.items()]
    index = index_questions(protocols, settings, args.threads)
    sightings = search_shards(args.dataset_manifest, index, args.threads)
    benchmarks = by_benchmark(index, sightings)
    for name, found in benchmarks.items():
        log.info(
            "%s: of %d questions %d have their text in the data, %d their image, %d a similar image, %d text and image "
            "in one row",
            name, found.questions, found.text, found.image_exact, found.image_near, found.both,
        )  # fmt: skip
    findings = Findings(
        dataset=args.dataset,
        settings=settings.model_dump(exclude=LIMITS),
        rows=sightings.rows,
        benchmarks=benchmarks,
    )
    write_json(args.output, findings.as_written())


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--settings", required=True, help="the settings of contamination, as JSON or @FILE")
    parser.add_argument("--benchmarks", required=True, help="every benchmark's settings by name, as JSON or @FILE")
    parser.add_argument("--dataset-manifest", type=Path, required=True, help="manifest of the shards")
    parser.add_argument("--threads", type=int, default=1, help="processes that search; the result is the same")
    parser.add_argument("--output", type=Path, required=True, help="where the findings are written (JSON)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
