"""Time and memory of planning: ``snakemake -n`` of the demo with more and more chunks, beside a bare Snakefile.

    .venv/bin/python perf/plan_speed.py                      # 60, 1,000 and 10,000 jobs
    .venv/bin/python perf/plan_speed.py --jobs 40000 --repeats 1

The bare Snakefile has as many jobs, and as many files to a job: four inputs and outputs, a log and a timing, three of
the outputs read by later jobs. It has no settings, input functions, params or environments. Both are planned by turns.
Prints a Markdown table: CPU seconds and wall time of the fastest repeat, the largest peak of memory.
"""

import argparse
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("Snakefile", "config", "rules", "scripts", "envs", "profiles", "report", "tools")
"""What a folder holds in which the project is planned."""

ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""With that variable every call would compile our modules anew, as it does in no user's clone."""

RECIPES, MOST_CHUNKS = 3, 9999
"""The demo's datasets that have a recipe: each has a job for each chunk, of which a seed has no more than so many."""

BARE = """\
rule all:
    input: expand("made/{dataset}.txt", dataset=range(RECIPES))

rule seed:
    output: manifest="seed.json", rows=directory("seed"), tried="tried.json", sample="sample.json"
    shell: "touch {output}"

rule chunk:
    input: manifest="seed.json", rows=ancient("seed"), tried="tried.json", sample="sample.json"
    output: expand("{{dataset}}/{{chunk}}.{ending}", ending=["json", "jsonl", "lineage", "columns"])
    log: "logs/{dataset}.{chunk}.log"
    benchmark: "timings/{dataset}.{chunk}.tsv"
    shell: "touch {output}"

rule select:
    input: expand("{{dataset}}/{chunk}.{ending}", chunk=range(CHUNKS), ending=["json", "jsonl", "columns"])
    output: "selected/{dataset}.txt"
    shell: "touch {output}"

rule gather:
    input: "selected/{dataset}.txt", expand("{{dataset}}/{chunk}.json", chunk=range(CHUNKS))
    output: "made/{dataset}.txt"
    shell: "touch {output}"
"""


class Cost(NamedTuple):
    """What one call took."""

    cpu: float
    wall: float
    mebibytes: float


def call(folder: Path, *arguments: str) -> Cost:
    """Call Snakemake in a folder."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "snakemake", *arguments]
    process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr
    said = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(said)
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - start, usage.ru_maxrss / 1024)


def lay(folder: Path, jobs: int) -> None:
    """Lay the demo with about so many jobs into ``folder/ours``, and a bare Snakefile of the same size into ``bare``.

    More jobs than the demo's seed has chunks for come from copies of a dataset.
    """
    recipes = max(RECIPES, math.ceil(jobs / MOST_CHUNKS))
    chunks = max((jobs - 54) // recipes, 2)
    ours, bare = folder / "ours", folder / "bare"
    ours.mkdir()
    bare.mkdir()
    for name in PARTS:
        (ours / name).symlink_to(ROOT / name)
    config = yaml.safe_load((ROOT / "config.yaml").read_text())
    config["seeds"]["easy-vqa"]["chunks"] = chunks
    copied = config["datasets"]["captions"]
    config["datasets"] |= {f"captions-{number}": copied for number in range(recipes - RECIPES)}
    (ours / "config.yaml").write_text(yaml.safe_dump(config))
    (bare / "Snakefile").write_text(f"RECIPES, CHUNKS = {recipes}, {chunks}\n{BARE}")


def best(costs: list[Cost]) -> Cost:
    """The fastest of some calls, and their largest peak."""
    return Cost(
        min(cost.cpu for cost in costs), min(cost.wall for cost in costs), max(cost.mebibytes for cost in costs)
    )


def measure(jobs: int, repeats: int) -> tuple[Cost, Cost]:
    """Plan both by turns."""
    with tempfile.TemporaryDirectory(prefix="plan_speed") as name:
        folder = Path(name)
        lay(folder, jobs)
        call(folder / "ours", "--list")  # parses the source files, as the first call in a clone does
        pairs = [(call(folder / "ours", "-n"), call(folder / "bare", "-n")) for _ in range(repeats)]
    ours, bare = zip(*pairs, strict=True)
    return best(list(ours)), best(list(bare))


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[60, 1000, 10000])
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; best of {args.repeats}\n")
    print("| jobs | CPU s | wall s | MB | bare: CPU s | wall s | MB | CPU, times bare |")
    print("|---|---|---|---|---|---|---|---|")
    for jobs in args.jobs:
        ours, bare = measure(jobs, args.repeats)
        cells = [f"{value:,.1f}" if value < 100 else f"{value:,.0f}" for value in (*ours, *bare)]
        print(f"| {jobs:,} | {' | '.join(cells)} | {ours.cpu / bare.cpu:.2f} |", flush=True)


if __name__ == "__main__":
    main()
