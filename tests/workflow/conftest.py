"""Copies of the project: one that has run to the end, and fresh ones."""

from pathlib import Path

import pytest
from project_copy import Workflow, copy_project


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """The small config, run to the end."""
    workflow = copy_project(tmp_path_factory.mktemp("finished"))
    done = workflow.snakemake()
    assert done.returncode == 0, done.stdout[-8000:]
    return workflow


@pytest.fixture
def fresh(tmp_path: Path) -> Workflow:
    """A copy in which nothing has run."""
    return copy_project(tmp_path)
