"""Milliseconds a row that each operator of some recipes takes, in the order in which the recipes should have them.

    tools/in-env data python perf/operator_speed.py config/recipes/*.yaml --rows SEED.jsonl --images FOLDER

Each operator runs alone on the same rows, in one process, called as the workflow calls it but without its files. CPU
time is taken, so that a loaded machine changes little; loading an operator's weights is not counted. Operators that run
a model on a GPU, and selectors and deduplicators, whose time grows in another way, are left out.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))


def main(args: argparse.Namespace) -> None:
    """Print the table."""
    from syntune.data.juicer import prepare_data_juicer

    with tempfile.TemporaryDirectory() as produced:
        prepare_data_juicer(Path(produced))
        print("| operator | ms a row | rows in | rows out |\n|---|---|---|---|")
        for name, milliseconds, rows_in, rows_out in sorted(measured(args), key=lambda line: line[1]):
            print(f"| `{name}` | {milliseconds:.3f} | {rows_in} | {rows_out} |")


def measured(args: argparse.Namespace) -> list[tuple[str, float, int, int]]:
    """Name, milliseconds a row, rows in and rows out of each operator."""
    rows = [json.loads(line) for line in args.rows.read_text(encoding="utf-8").splitlines()[: args.limit]]
    for row in rows:
        row["images"] = [str(args.images / path) for path in row["images"]]
    operators = {}
    for recipe in args.recipes:
        for step in yaml.safe_load(recipe.read_text(encoding="utf-8"))["process"]:
            operators |= step
    lines = []
    for name, parameters in operators.items():
        operator = load(name, parameters or {})
        if operator is not None:
            milliseconds, rows_out = timed(operator, rows, args.times)
            lines.append((name, milliseconds, len(rows), rows_out))
    return lines


def load(name: str, parameters: dict) -> object | None:
    """A mapper or filter that needs no GPU; None for any other operator."""
    from syntune.data.juicer import load_operator
    from syntune.recipes.stages import ROWS, kind_of

    return load_operator(name, parameters, name) if kind_of(name) == ROWS else None


def timed(operator: object, rows: list[dict], times: int) -> tuple[float, int]:
    """Milliseconds a row, the least of some runs, and rows out."""
    from data_juicer.ops.base_op import Filter
    from data_juicer.utils.constant import Fields

    best, rows_out = float("inf"), 0
    for turn in range(times + 1):  # the first loads weights and warms caches
        batch = {key: [row[key] for row in rows] for key in ("id", "images", "text")}
        if isinstance(operator, Filter):
            batch[Fields.stats] = [{} for _ in rows]
        started = time.process_time()
        if isinstance(operator, Filter):
            rows_out = sum(map(bool, operator.process_batched(operator.compute_stats_batched(batch))))
        elif operator.is_batched_op():
            rows_out = len(operator.process_batched(batch)["id"])
        else:
            columns = zip(*batch.values(), strict=True)
            rows_out = len([operator.process_single(dict(zip(batch, row, strict=True))) for row in columns])
        if turn:
            best = min(best, (time.process_time() - started) * 1000 / len(rows))
        forget_readings()
    return best, rows_out


def forget_readings() -> None:
    """Let each run read the pictures anew."""
    from syntune.operators.image_texts import read_page

    read_page.cache_clear()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", type=Path, nargs="+", help="recipes whose operators are measured")
    parser.add_argument("--rows", type=Path, required=True, help="a JSONL seed")
    parser.add_argument("--images", type=Path, required=True, help="folder that its images' paths start from")
    parser.add_argument("--limit", type=int, default=200, help="rows to take")
    parser.add_argument("--times", type=int, default=2, help="runs, of which the fastest counts")
    main(parser.parse_args())
