"""On a real SLURM: what a local run makes comes out of a cluster's jobs, whatever ends them on the way."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from project_copy import ROOT, Workflow

from syntune.files import sha256_file

PROFILE = ("--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1")
SEED = "results/seed/easy-vqa.manifest.json"


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """The test cluster of this machine, started if it does not run."""
    tool = ROOT / "tools/slurm"
    ran = subprocess.run([tool, "status"], capture_output=True).returncode == 0
    started = subprocess.run([tool, "start"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if started.returncode:
        pytest.skip(started.stdout.strip().splitlines()[-1])
    yield
    if not ran:
        subprocess.run([tool, "stop"], check=True)


@pytest.fixture
def workflow(finished: Workflow, tmp_path: Path) -> Workflow:
    """A copy in which all is made."""
    shutil.copytree(finished.folder, tmp_path / "copy", symlinks=True)
    return Workflow(tmp_path / "copy")


def partition(name: str, **settings: str) -> None:
    """Change a partition of the cluster."""
    changes = [f"{key}={value}" for key, value in settings.items()]
    subprocess.run(["scontrol", "update", f"partitionname={name}", *changes], check=True)


@pytest.fixture
def held() -> Iterator[None]:
    """Within it, jobs wait."""
    for name in ("cpu", "gpu"):
        partition(name, State="DOWN")
    yield
    for name in ("cpu", "gpu"):
        partition(name, State="UP")


def queued(workflow: Workflow, column: str = "%i") -> list[str]:
    """Of the copy's jobs that wait or run, what ``squeue --format`` calls the column; their numbers."""
    command = ["squeue", "--noheader", f"--format=%Z|{column}"]
    lines = subprocess.run(command, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return [line.split("|")[1] for line in lines if line.split("|")[0] == str(workflow.folder)]


def wait_for_jobs(workflow: Workflow, snakemake: subprocess.Popen[str]) -> None:
    """Until Snakemake has submitted one."""
    end = time.monotonic() + 120
    while not queued(workflow):
        assert snakemake.poll() is None and time.monotonic() < end, snakemake.communicate()[0]
        time.sleep(0.5)


def wait_until(workflow: Workflow, *states: str) -> None:
    """Until the copy's only job is in one of these states."""
    end = time.monotonic() + 120
    while not (found := queued(workflow, "%T")) or found[0] not in states:
        assert time.monotonic() < end, found
        time.sleep(0.2)


def remove(workflow: Workflow, *names: str) -> None:
    """Remove folders and files below results/."""
    for name in names:
        for path in (workflow.folder / "results").glob(name):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def edit(workflow: Workflow, old: str, new: str) -> None:
    """Edit the config of the copy."""
    config = workflow.folder / "small.yaml"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new, 1))


def hashes(folder: Path, *patterns: str) -> dict[str, str]:
    """The files of some patterns below results/."""
    results = folder / "results"
    files = [path for pattern in patterns for path in results.glob(pattern) if path.is_file()]
    return {str(path.relative_to(results)): sha256_file(path) for path in files}


def test_data_training_and_prediction_give_the_bytes_of_a_local_run(finished, workflow):
    made = {
        "results/data/synthetic.manifest.json": ("synth/synthetic/*/chunk-*.jsonl", "data/synthetic/*"),
        "results/predictions/raw/open.jsonl": ("checkpoints/raw/*.safetensors", "predictions/raw/open.jsonl"),
    }
    remove(workflow, "data/synthetic*", "synth/synthetic.*", "synth/synthetic/2", "synth/synthetic/2.manifest.json")
    remove(workflow, "synth/synthetic/1/chunk-0*")
    remove(workflow, "checkpoints/raw*", "finished/raw", "predictions/raw/open.jsonl", "cache")
    for target, files in made.items():
        done = workflow.snakemake(target, *PROFILE, "--slurm-array-jobs", "synthesize")
        assert done.returncode == 0, done.stdout[-8000:]
        local = hashes(finished.folder, *files)
        assert local
        assert hashes(workflow.folder, *files) == local


def test_jobs_that_wait_run_what_was_planned_and_end_right_after_scancel(workflow, held):
    remove(workflow, "seed")
    first = workflow.start(SEED, *PROFILE, "--retries", "0")
    wait_for_jobs(workflow, first)
    (job,) = queued(workflow)
    subprocess.run(["scancel", job], check=True)
    output, _ = first.communicate(timeout=120)
    assert first.returncode == 1
    assert "CANCELLED" in output

    again = workflow.start(SEED, *PROFILE)
    wait_for_jobs(workflow, again)
    edit(workflow, "limit: 600", "limit: 300")
    partition("cpu", State="UP")
    output, _ = again.communicate(timeout=240)
    assert again.returncode == 0, output
    assert json.loads((workflow.folder / SEED).read_text())["rows_in"] == 600


def test_a_job_whose_node_goes_down_runs_again_once_it_is_back(finished, workflow):
    remove(workflow, "seed")
    started = workflow.start(SEED, *PROFILE, "--retries", "0")
    wait_until(workflow, "RUNNING")
    subprocess.run(["scontrol", "update", "nodename=cpu1", "state=down", "reason=a test"], check=True)
    wait_until(workflow, "PENDING")  # and the node comes back by itself
    (job,) = queued(workflow)
    # not after two minutes, but past the second in which the node refuses what it was told to end
    subprocess.run(["scontrol", "update", f"jobid={job}", "starttime=now+3seconds"], check=True)
    output, _ = started.communicate(timeout=300)
    assert started.returncode == 0, output
    assert hashes(workflow.folder, "seed/*.json*", "seed/*/*") == hashes(finished.folder, "seed/*.json*", "seed/*/*")


@pytest.mark.slow
def test_a_training_that_is_told_of_its_time_limit_goes_on_in_its_retry(workflow):
    edit(workflow, "dataset: raw, max_steps: 3", "dataset: raw, max_steps: 200")
    assert workflow.snakemake("results/rehearsal/raw/cleared").returncode == 0
    remove(workflow, "logs/train/raw.log")
    started = workflow.start("results/checkpoints/raw.manifest.json", *PROFILE)
    log, end = workflow.folder / "results/logs/train/raw.log", time.monotonic() + 300
    while not (log.exists() and "step 1 of 200" in log.read_text()):
        assert started.poll() is None and time.monotonic() < end
        time.sleep(0.2)
    subprocess.run(["scancel", "--signal=URG", *queued(workflow)], check=True)
    output, _ = started.communicate(timeout=600)
    assert started.returncode == 0, output
    assert "was stopped by SIGURG after step " in output
    summary = json.loads((workflow.folder / "results/checkpoints/raw/summary.json").read_text())
    assert summary["steps"] == 200 > summary["resumed_from"] > 0


def test_jobs_that_outlive_snakemake_are_ended_by_one_command(workflow, held):
    remove(workflow, "seed")
    killed = workflow.start(SEED, *PROFILE)
    wait_for_jobs(workflow, killed)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert queued(workflow)
    done = subprocess.run(["tools/cancel-jobs"], cwd=workflow.folder, stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0
    assert "1 job(s)" in done.stdout
    assert not queued(workflow)
    assert "LockException" not in workflow.snakemake("-n").stdout


def test_a_job_that_would_wait_for_ever_is_named_before_anything_runs(workflow):
    remove(workflow, "seed")
    partition("cpu", MaxTime="30")
    try:
        done = workflow.snakemake(SEED, *PROFILE)
    finally:
        partition("cpu", MaxTime="2880")
    assert done.returncode == 1
    assert "error: ingest_seed easy-vqa: runtime=240 is more than the 30 of partition cpu; " in done.stdout
    assert not queued(workflow)
    assert workflow.snakemake("-n", SEED).returncode == 0  # the folder is not locked


def test_gpus_are_asked_for_on_one_node_of_a_partition_that_has_them(workflow, held):
    edit(workflow, "precision: fp32, gpus: 0", "precision: fp32, gpus: 2")
    edit(workflow, "start: tiny, gpus: 0", "start: tiny, gpus: 1")
    started = workflow.start("results/rehearsal/pretrained/passed.json", *PROFILE)
    try:
        wait_for_jobs(workflow, started)
        (job,) = queued(workflow)
        shown = subprocess.run(["scontrol", "show", "job", job], stdout=subprocess.PIPE, text=True).stdout
        assert {"Partition=gpu", "NumNodes=1-1", "TresPerJob=gres:gpu:2"} <= set(shown.split())
    finally:
        started.send_signal(signal.SIGINT)
        started.communicate(timeout=120)
    assert not queued(workflow)
