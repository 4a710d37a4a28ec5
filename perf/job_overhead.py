"""What a job costs beside its work: starts of Snakemake, of which a SLURM job has two, and what its script imports.

    .venv/bin/python perf/job_overhead.py

Prints a Markdown table of CPU seconds: of the fastest of several starts, and of all modules that a script and its
functions import, each in the environment of its rule, the files already in memory.
"""

import ast
import os
import platform
import re
import resource
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REPEATS = 3
SCRIPTS = (
    "ingest_seed", "synthesize", "select_rows", "gather_synthesis", "shard", "data_page", "decontaminate",
    "contamination_pictures", "prepare_base", "rehearse_training", "rehearse_evaluation", "clear_for_training", "train",
    "predict", "score", "compare", "answers_page", "report",
)  # fmt: skip
START = (
    *(sys.executable, "-m", "snakemake", "results/easy-vqa/manifest.json", "--cores", "1", "-n", "--force", "--nolock"),
    *("--mode", "remote", "--target-jobs", "easy_vqa:", "--allowed-rules", "easy_vqa"),
)
"""What a job's Snakemake does before its command: it reads Snakefile and config, and plans its one job."""


def main() -> None:
    """Measure and print."""
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Python {platform.python_version()}\n")
    print("| what | environment | CPU s |\n|---|---|---|")
    print(f"| a start of Snakemake | .venv | {cpu_seconds(START):.1f} |")
    for name in SCRIPTS:
        source = (ROOT / f"scripts/{name}.py").read_text(encoding="utf-8")
        environment = re.search(r'run_command\(main, parser\(\), "([\w-]+)"\)', source)[1]
        command = (ROOT / "tools/in-env", environment, "python", "-c", imports_of(source))
        print(f"| imports of {name} | {environment} | {cpu_seconds(command):.1f} |", flush=True)


def imports_of(source: str) -> str:
    """A program that imports all that a script does, also within its functions; what is for type checkers too."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(["import sys", "sys.path.insert(0, 'scripts')", *map(ast.unparse, nodes)])


def cpu_seconds(command: tuple[str | Path, ...]) -> float:
    """The CPU time of a command and its children, the least of several calls."""
    times = []
    for _ in range(REPEATS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return min(times)


if __name__ == "__main__":
    main()
