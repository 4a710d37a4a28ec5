"""Draw the figures and write the report: one self-contained HTML page."""

import argparse
from dataclasses import replace
from pathlib import Path

from syntune.command import run_command


def main(args: argparse.Namespace) -> None:
    """Read what the workflow left behind, draw the figures beside the page, and write the page."""
    from syntune.planning.finished import foretold
    from syntune.reporting.figures import draw_figures
    from syntune.reporting.page import render_page
    from syntune.reporting.records import read_records
    from syntune.settings.reading import read_params

    records = read_records(
        seeds=args.seed_manifests,
        syntheses=args.synthesis_manifests,
        datasets=args.dataset_manifests,
        models=args.model_manifests,
        runs=args.run_manifests,
        summaries=args.summaries,
        metrics=args.metrics,
        scores=args.scores,
        predictions=args.predictions,
        comparison=args.comparison,
        trainings=read_params(args.trainings, dict[str, list[str]]),
        contamination=args.contamination,
        pictures=args.contamination_pictures,
        timings=args.timings,
    )
    told = {run: foretold(planned, records.summaries[run].device) for run, planned in records.planned.items()}
    records = replace(records, foretold={run: found for run, found in told.items() if found})
    drawings = draw_figures(records, args.figures)
    render_page(records, drawings, title=args.title, description=args.description, output=args.output)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--title", required=True, help="heading of the page")
    parser.add_argument("--description", default="", help="a sentence or two under the heading")
    files = {"type": Path, "nargs": "*", "default": []}
    parser.add_argument("--seed-manifests", **files, help="manifests of the ingested seeds")
    parser.add_argument("--synthesis-manifests", **files, help="manifests of the syntheses")
    parser.add_argument("--dataset-manifests", **files, help="manifests of the sharded datasets")
    parser.add_argument("--model-manifests", **files, help="manifests of the base models")
    parser.add_argument("--run-manifests", **files, help="manifests of the trained runs")
    parser.add_argument("--summaries", **files, help="summary.json of each trained run, in the manifests' order")
    parser.add_argument("--metrics", **files, help="metrics.jsonl of each trained run, in the manifests' order")
    parser.add_argument("--scores", **files, help="scores: one file for each run and benchmark")
    parser.add_argument("--predictions", **files, help="predictions/RUN/BENCHMARK.jsonl for each run and benchmark")
    parser.add_argument(
        "--comparison", type=Path, nargs="?", help="the runs beside the baseline run (JSON), if any were"
    )
    parser.add_argument("--trainings", required=True, help="each run's trainings, as JSON or @FILE")
    parser.add_argument("--contamination", **files, help="what was found of the benchmarks in each training dataset")
    parser.add_argument("--contamination-pictures", **files, help="thumbnails of the examples of contamination")
    parser.add_argument("--timings", **files, help="timings/RULE/JOB.tsv, Snakemake's benchmark files")
    parser.add_argument("--output", type=Path, required=True, help="the page")
    parser.add_argument("--figures", type=Path, required=True, help="folder for the figures (SVG)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "report")
