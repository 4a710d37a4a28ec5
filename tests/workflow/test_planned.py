"""An edit while jobs wait is harmless: a job started by another Snakemake runs what that one planned."""

import json
import os

import pytest
from project_copy import Workflow

SEED = "results/seed/easy-vqa.manifest.json"


@pytest.fixture
def planned(fresh: Workflow, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """A copy whose first rule has run, and in which a job of the same plan is about to start."""
    done = fresh.snakemake("results/easy-vqa/manifest.json")
    assert done.returncode == 0, done.stdout
    (plan,) = (fresh.folder / ".snakemake/syntune").iterdir()
    monkeypatch.setenv("SYNTUNE_PLANNED", str(plan))
    return fresh


def run_job(workflow: Workflow) -> str:
    """Start the job as an executor does: a Snakemake of its own, which reads config and rules again."""
    job = ("--target-jobs", "ingest_seed:seed=easy-vqa", "--allowed-rules", "ingest_seed", "--mode", "remote")
    return workflow.snakemake(SEED, *job, "--force", "--nolock", "--sdm", "conda").stdout


def edit(workflow: Workflow, name: str, old: str, new: str) -> None:
    """Edit a file of the copy."""
    text = (workflow.folder / name).read_text()
    assert old in text
    (workflow.folder / name).write_text(text.replace(old, new, 1))


def test_a_waiting_job_keeps_its_config_and_stops_where_its_code_changed(planned):
    edit(planned, "small.yaml", "limit: 600", "limit: 300")
    run_job(planned)
    assert json.loads((planned.folder / SEED).read_text())["rows_in"] == 600

    edit(planned, "scripts/syntune/data/batches.py", "512", "256")
    output = run_job(planned)
    assert "error: scripts/syntune/data/batches.py: changed after this job was planned; run snakemake again" in output
    os.environ.pop("SYNTUNE_PLANNED")
    assert "ingest_seed easy-vqa" in planned.planned("data")
