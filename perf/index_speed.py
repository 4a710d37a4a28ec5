"""What comes before the first step: tokenising a dataset's rows, opening its shards, planning its steps.

    tools/in-env train python perf/index_speed.py                  # half a minute
    tools/in-env train python perf/index_speed.py --rows 200 --planned 10000

Rows are those of perf/loader_speed.py: an image of 88 KB and two turns of 30 words. Prints a Markdown table.
"""

import argparse
import copy
import os
import tempfile
import time
from pathlib import Path

import numpy
from loader_speed import make_processor, peak, write_shards

from syntune.training.batching import plan_steps
from syntune.training.rows import index_rows
from syntune.training.shards import Shards


def resident_memory() -> int:
    """Bytes of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def tokenising(manifest: Path, folder: Path) -> list[str]:
    """Rows a second, and bytes of the index."""
    processor = make_processor(manifest, "full")
    start = time.perf_counter()
    index = index_rows(Shards(manifest), processor, folder, processor.max_length, "truncate")
    seconds = time.perf_counter() - start
    size = sum(file.stat().st_size for file in folder.rglob("*.npy"))
    text = len(index.ids) / len(index)
    return [
        f"| tokenising | {len(index) / seconds:,.0f} rows/s, {text:.0f} tokens a row, one process |",
        f"| index on disk | {size / len(index):,.0f} bytes a row |",
    ]


def opening(manifest: Path, times: int) -> list[str]:
    """Time and memory of an open shard, by its row groups."""
    kept = [copy.copy(shards) for shards in [Shards(manifest)] * times]  # each opens its own files
    groups, before, start = 0, resident_memory(), time.perf_counter()
    for shards in kept:
        groups += sum(shards._file(number).num_row_groups for number in range(len(shards.paths)))
    seconds, memory = time.perf_counter() - start, resident_memory() - before
    return [f"| opening shards | {1e6 * seconds / groups:.1f} µs and {memory / groups / 1000:.1f} KB a row group |"]


def planning(rows: int) -> list[str]:
    """Time and memory of a plan of one pass in steps of 128 rows."""
    lengths = 576 + numpy.exp(numpy.random.default_rng(0).normal(4.8, 0.6, rows)).clip(24, 900).astype(int)
    before, start = peak("self"), time.perf_counter()
    plan, steps = plan_steps(
        lengths, numpy.ones(rows, int), global_batch_size=128, tokens_per_micro_batch=8192, max_steps=rows // 128,
        random_seed=0,
    )  # fmt: skip
    for step in range(steps):
        plan.micro_batches_of(step)
    seconds = time.perf_counter() - start
    return [f"| planning {rows:,} rows | {seconds:.1f} s, {peak('self') - before:.0f} MiB more |"]


def main(args: argparse.Namespace) -> None:
    """Measure, and print the table."""
    with tempfile.TemporaryDirectory(prefix="index-speed-") as temporary:
        folder = Path(temporary)
        manifest = write_shards(folder, args.rows)
        lines = planning(args.planned) + opening(manifest, args.opened) + tokenising(manifest, folder / "tokens")
    print("\n".join(["| | |", "|---|---|", *lines]))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=8000, help="rows of the dataset")
    arguments.add_argument("--opened", type=int, default=20, help="times that its shards are opened")
    arguments.add_argument("--planned", type=int, default=1_000_000, help="rows whose steps are planned")
    return arguments


if __name__ == "__main__":
    main(parser().parse_args())
