"""A copy of the project in which real Snakemake runs, with the environments that the project made."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Workflow:
    """A copy of the project in a folder of its own.

    Attributes:
        folder: the copy.
        config: the config in it that runs; None gives no ``--configfile``.
        verbose: whether Snakemake prints its own text and what jobs print, and not what a user sees.
    """

    folder: Path
    config: str | None = "small.yaml"
    verbose: bool = True

    def snakemake(self, *arguments: str, first_on_path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run Snakemake in the copy; its own text and what jobs print come back together in ``stdout``."""
        started = self.start(*arguments, first_on_path=first_on_path)
        output, _ = started.communicate()
        return subprocess.CompletedProcess(started.args, started.returncode, output)

    def start(self, *arguments: str, first_on_path: Path | None = None) -> subprocess.Popen[str]:
        """Start Snakemake in the copy, without waiting for its end."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *["--printshellcmds"] * self.verbose]
        config = ["--configfile", self.config] if self.config else []
        prefix = ["--conda-prefix", os.environ.get("SNAKEMAKE_CONDA_PREFIX", str(ROOT / ".snakemake/conda"))]
        folders = [first_on_path or Path(sys.executable).parent, Path(sys.executable).parent]
        path = ":".join(map(str, [*folders, os.environ["PATH"]]))
        return subprocess.Popen(
            [*command, *config, *prefix, *arguments],
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def planned(self, *arguments: str) -> set[str]:
        """The jobs that a dry run would start, as ``rule`` or ``rule wildcard.wildcard``."""
        done = self.snakemake("-n", *arguments)
        assert done.returncode == 0, done.stdout
        jobs = re.findall(r"^(?:local)?(?:rule|checkpoint) (\w+):\n((?:    .*\n)*)", done.stdout, re.M)
        return {f"{rule} {_wildcards(block)}".strip() for rule, block in jobs} - {"all"}


def _wildcards(block: str) -> str:
    """The wildcards of a job's block, joined by dots."""
    found = re.search(r"^    wildcards: (.*)$", block, re.M)
    return ".".join(pair.split("=")[1] for pair in found[1].split(", ")) if found else ""


def copy_project(folder: Path, config: str = "small.yaml") -> Workflow:
    """Copy what git knows or does not ignore, and lay a config of the tests beside it."""
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True, capture_output=True
    ).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    shutil.copy2(ROOT / "tests/workflow" / config, folder / config)
    return Workflow(folder, config)
