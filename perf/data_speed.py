"""Time and memory of the whole data side through Snakemake: from a seed's records to shards and the data page.

    tools/in-env data python perf/data_speed.py --rows 100000 --chunks 10 --cores 2

Rows are questions about drawings of 64 x 64 pixels, five to a drawing, with one duplicate in twenty; the recipe is that
of perf/synthesis_speed.py. A new folder holds seed and results; one named by --folder stays, and a run that was stopped
goes on there. Figures are those of the rules' timing files: CPU seconds of all jobs of a rule, the wall time of its
longest job, the peak of its largest one. Snakemake looks at its jobs twice a second here: by its own 30 seconds most of
a short one is missed. What stands after ``--`` goes to snakemake.
"""

import argparse
import csv
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from synthesis_speed import RECIPE, ROOT, line

PARTS = ("Snakefile", "rules", "scripts", "envs", "profiles", "report", "tools")
"""What a folder holds in which Snakemake runs."""

RUN = """\
seeds: {drawings: {path: seed.jsonl, images: ., chunks: CHUNKS}}
datasets: {cleaned: {seed: drawings, recipe: recipe.yaml, shards: SHARDS}}
models: {tiny: {source: tiny, tokenizer_dataset: cleaned}}
runs: {only: {method: none, start: tiny, gpus: 0}}
benchmarks: {open: {protocol: textvqa, annotations: seed.jsonl, images: .}}
"""


SNAKEMAKE = """\
import sys
from snakemake import benchmark, cli

begin = benchmark.ScheduledPeriodicTimer.__init__
benchmark.ScheduledPeriodicTimer.__init__ = lambda timer, _: begin(timer, benchmark.BENCHMARK_INTERVAL_SHORT)
sys.argv[0] = "snakemake"
cli.main()
"""
"""Snakemake with a closer look at its jobs."""


def draw(folder: Path, count: int) -> None:
    """Write ``count`` drawings, a thousand to a subfolder."""
    from PIL import Image, ImageDraw

    rng = random.Random(0)
    for index in range(count):
        place = folder / f"images/{index // 1000:04d}"
        place.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", (64, 64), tuple(rng.randrange(180, 256) for _ in range(3)))
        x, y, size = rng.randrange(30), rng.randrange(30), rng.randrange(12, 34)
        shape = rng.choice(("ellipse", "rectangle"))
        color = tuple(rng.randrange(150) for _ in range(3))
        getattr(ImageDraw.Draw(image), shape)((x, y, x + size, y + size), fill=color)
        image.save(place / f"{index:07d}.png", compress_level=1)


def records(rows: int) -> Iterator[dict]:
    """LLaVA records, one in twenty of which asks what the one before it asked."""
    for index in range(rows):
        drawing = index // 5
        number = index - 1 if index % 20 == 4 else index
        question = f"<image>\nwhat color is shape number {number} in the image?"
        turns = [{"from": "human", "value": question}, {"from": "gpt", "value": "red"}]
        image = f"images/{drawing // 1000:04d}/{drawing:07d}.png"
        yield {"id": f"r{index:07d}", "image": image, "conversations": turns}


def prepare(folder: Path, rows: int, chunks: int) -> None:
    """Seed, recipe and config in a folder from which Snakemake can run."""
    for name in PARTS:
        (folder / name).symlink_to(ROOT / name)
    draw(folder, -(-rows // 5))
    with (folder / "seed.jsonl").open("w") as file:
        file.writelines(json.dumps(record) + "\n" for record in records(rows))
    process = [{name: parameters} for name, parameters in RECIPE]
    (folder / "recipe.yaml").write_text(json.dumps({"process": process}))
    run = RUN.replace("CHUNKS", str(chunks)).replace("SHARDS", str(max(4, rows // 50_000)))
    (folder / "config.yaml").write_text(run)


def timings(folder: Path) -> dict[str, list[dict[str, float]]]:
    """The timing files of each rule: ``s``, ``max_rss`` (MB) and ``cpu_time`` (s) of each job."""
    found: dict[str, list[dict[str, float]]] = {}
    for file in sorted((folder / "results/timings").rglob("*.tsv")):
        rule = file.relative_to(folder / "results/timings").parts[0]
        row = next(csv.DictReader(file.open(), delimiter="\t"))
        numbers = {key: float(row[key]) if row[key] not in ("NA", "-") else 0.0 for key in ("s", "max_rss", "cpu_time")}
        found.setdefault(rule, []).append(numbers)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--chunks", type=int, default=10)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--folder", type=Path, help="keep seed and results here")
    parser.add_argument("snakemake", nargs="*", help="further arguments of snakemake, after --")
    args = parser.parse_args()
    print(f"{platform.machine()}, {args.cores} of {os.cpu_count()} cores, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as name:
        folder = args.folder or Path(name)
        if not (folder / "config.yaml").exists():
            folder.mkdir(parents=True, exist_ok=True)
            prepare(folder, args.rows, args.chunks)
        started = time.monotonic()
        python = str(Path(shutil.which("snakemake") or "").with_name("python"))
        command = [python, "-c", SNAKEMAKE, "data", "--cores", str(args.cores), "--quiet", "all", *args.snakemake]
        done = subprocess.run(command, cwd=folder, stdout=sys.stderr)
        if done.returncode:
            sys.exit(f"snakemake failed; rules that ended: {', '.join(timings(folder))}")
        wall = time.monotonic() - started
        manifest = json.loads((folder / "results/data/cleaned.manifest.json").read_text())
        print(f"{args.rows} rows, {args.chunks} chunks: {wall:.0f} s, {manifest['rows_out']} rows left\n")
        print(line("rule", "jobs", "CPU s", "longest s", "peak MB"))
        print(line(*["---"] * 5))
        for rule, jobs in timings(folder).items():
            cpu, longest = sum(job["cpu_time"] for job in jobs), max(job["s"] for job in jobs)
            print(line(rule, len(jobs), cpu, longest, max(job["max_rss"] for job in jobs)))


if __name__ == "__main__":
    main()
