"""Run a rows stage of a recipe on one chunk."""

import argparse
import json
import logging
from pathlib import Path

from syntune.command import run_command
from syntune.planned import require_planned_code, require_planned_files

log = logging.getLogger("synthesize")


def main(args: argparse.Namespace) -> None:
    """Write the chunk's rows, report, lineage and columns, or take those of equal work done before."""
    from syntune.artifacts.reports import check_chunk
    from syntune.data.kept_chunks import KeptChunks, fingerprint
    from syntune.recipes.percentiles import read_percentiles
    from syntune.recipes.stages import COLUMNS_OF

    for module in args.code:
        require_planned_code(module)
    require_planned_files(args.files)
    operators = [(name, parameters) for name, parameters in json.loads(args.operators)]
    rowwise = [operator for operator in operators if operator[0] != COLUMNS_OF]
    columns = [operator for operator in operators if operator[0] == COLUMNS_OF]
    percentiles = read_percentiles(args.percentiles)
    found = {key: percentile.value for key, percentile in percentiles.items()}
    rows = check_chunk(args.chunk, args.edge)
    work = fingerprint("data", ["synthesize", *args.code], rows, rowwise, found, str(args.output), args.files)
    made = [args.output, args.report, args.lineage]
    kept = KeptChunks(args.kept / "rows")
    if kept.take(work, made):
        log.info("%s: equal work was done before, and is taken", args.output)
    elif _synthesize(args, rowwise, percentiles):
        kept.put(work, made)
    columns_work = fingerprint("data", ["synthesize", *args.code], work, columns)
    kept_columns = KeptChunks(args.kept / "columns")
    if not kept_columns.take(columns_work, [args.columns]):
        _compute_columns(args, columns)
        kept_columns.put(columns_work, [args.columns])


def _synthesize(args: argparse.Namespace, operators: list, percentiles: dict) -> bool:
    """Run the operators; whether the result may be kept: not if it names images that only this job wrote."""
    from syntune.data.chunk import executor_named, synthesize_chunk
    from syntune.data.juicer import prepare_data_juicer
    from syntune.data.synthesis import write_report
    from syntune.recipes.stages import SCORE_FILTER

    if any(name != SCORE_FILTER for name, _ in operators):
        prepare_data_juicer(produced=args.output.with_suffix(""))
    made = synthesize_chunk(
        operators,
        percentiles,
        args.chunk,
        args.output,
        args.lineage,
        where=args.recipe,
        executor=executor_named(args.executor),
    )
    write_report(args.report, args.output, made.rows_in, made.rows_out, made.steps, stats_of=made.stats_of)
    return not made.makes_images


def _compute_columns(args: argparse.Namespace, operators: list) -> None:
    """Compute what the global operators compare."""
    from syntune.data.columns import write_columns
    from syntune.data.juicer import prepare_data_juicer

    if operators:
        prepare_data_juicer(produced=args.output.with_suffix(""))
    write_columns(args.output, operators, args.recipe, args.columns)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", required=True, help="name of the dataset")
    parser.add_argument("--recipe", required=True, help="the recipe's file, for messages to name")
    parser.add_argument("--operators", required=True, help="the stage's operators, as JSON: [[name, parameters], ...]")
    parser.add_argument("--chunk", type=Path, required=True, help="rows to read (JSONL)")
    parser.add_argument("--edge", type=Path, required=True, help="the report or manifest that vouches for these rows")
    parser.add_argument("--percentiles", default="", help="values of percentiles that the first operator names")
    parser.add_argument("--executor", default="default", choices=("default", "ray"), help="how operators are called")
    parser.add_argument("--code", nargs="*", default=[], help="modules of the project's own operators among them")
    parser.add_argument("--files", nargs="*", default=[], help="PATH SHA256 of each file that their parameters name")
    parser.add_argument("--kept", type=Path, required=True, help="folder of what was made before for this chunk")
    parser.add_argument("--output", type=Path, required=True, help="rows to write (JSONL)")
    parser.add_argument("--report", type=Path, required=True, help="report to write (JSON)")
    parser.add_argument("--lineage", type=Path, required=True, help="lineage to write (Parquet)")
    parser.add_argument("--columns", type=Path, required=True, help="columns to write (Parquet)")
    return parser


if __name__ == "__main__":
    run_command(main, parser(), "data")
