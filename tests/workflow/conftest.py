"""Copies of the project: some that have run to the end, and fresh ones."""

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from project_copy import ROOT, Workflow, copy_project

SCORER = "import pathlib, tiny_scorers; tiny_scorers.clip(pathlib.Path({!r}))"


@pytest.fixture(scope="session")
def finished_with(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Workflow]:
    """Of a config in this folder a copy in which it ran to the end."""

    @cache
    def run(config: str) -> Workflow:
        workflow = copy_project(tmp_path_factory.mktemp("finished"), config)
        if config == "wide.yaml":
            write_scorer(workflow.folder / "clip")
        done = workflow.snakemake()
        assert done.returncode == 0, done.stdout[-8000:]
        return workflow

    return run


@pytest.fixture(scope="session")
def finished(finished_with: Callable[[str], Workflow]) -> Workflow:
    """The small config, run to the end."""
    return finished_with("small.yaml")


def write_scorer(folder: Path) -> None:
    """A CLIP of random weights, made where transformers is at home."""
    folder.mkdir()
    modules = ":".join(str(ROOT / "tests/unit" / name) for name in ("models", "model_operators"))
    command = [ROOT / "tools/in-env", "synth-models", "env", f"PYTHONPATH={modules}", "python", "-c"]
    subprocess.run([*command, SCORER.format(str(folder))], check=True, capture_output=True)


@pytest.fixture
def fresh(tmp_path: Path) -> Workflow:
    """A copy in which nothing has run."""
    return copy_project(tmp_path)
