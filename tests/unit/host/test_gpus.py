"""GPUs shared out among real processes; only their number is made up."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

import syntune.gpus as gpus

JOB = """
import logging, os, sys
from pathlib import Path
import syntune.gpus as gpus

logging.basicConfig(level=logging.INFO)
gpus.FOLDER, gpus._TRY_EVERY = Path(sys.argv[1]), 0.02
if gpus.VARIABLE not in os.environ:
    gpus.gpus_here = lambda: ["0", "1"]
gpus.take_gpus(int(sys.argv[2]))
print(os.environ.get(gpus.VARIABLE), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def job(tmp_path):
    """Starts a job that asks for GPUs on a machine with two, and holds them until it is ended."""
    started = []

    def start(count, **variables):
        kept = {name: value for name, value in os.environ.items() if name not in (gpus.VARIABLE, "SLURM_JOB_ID")}
        command = [sys.executable, "-c", JOB, str(tmp_path / "locks"), str(count)]
        environment = kept | variables | {"PYTHONPATH": os.pathsep.join(sys.path)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(command, env=environment, text=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def seen_by(process) -> str:
    """The GPUs that a job got."""
    return process.stdout.readline().strip()


@contextmanager
def waiting(process):
    """Within it, a job waits and says so."""
    assert "waiting for" in process.stderr.readline()
    assert process.poll() is None
    yield


def test_two_jobs_at_the_same_time_get_a_gpu_each(job):
    assert {seen_by(process) for process in (job(1), job(1))} == {"0", "1"}


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_a_third_job_waits_until_one_of_them_is_dead(job, end):
    first, second = job(1), job(1)
    freed = seen_by(first)
    assert seen_by(second) != freed
    third = job(1)
    with waiting(third):
        getattr(first, end)()
    assert seen_by(third) == freed


def test_a_job_that_asks_for_both_holds_none_while_it_waits(job):
    one = job(1)
    held = seen_by(one)
    both = job(2)
    with waiting(both):
        other = job(1)
        assert {held, seen_by(other)} == {"0", "1"}
        one.kill()
        other.kill()
    assert seen_by(both) == "0,1"


def test_only_the_gpus_that_the_user_chose_are_shared_out(job):
    first, second = (job(1, CUDA_VISIBLE_DEVICES="3, GPU-a/b") for _ in range(2))
    assert {seen_by(first), seen_by(second)} == {"3", "GPU-a/b"}
    third = job(1, CUDA_VISIBLE_DEVICES="3")
    with waiting(third):
        first.kill()
        second.kill()
    assert seen_by(third) == "3"


@pytest.mark.parametrize(
    ("count", "variables", "sees"),
    [
        (0, {}, "None"),
        (3, {}, "None"),
        (1, {"CUDA_VISIBLE_DEVICES": ""}, ""),
        (1, {"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0,1"}, "0,1"),
    ],
    ids=["asks for none", "asks for more than there are", "all hidden by the user", "SLURM chose"],
)
def test_nothing_is_shared_out_where_it_is_not_ours_to(job, tmp_path, count, variables, sees):
    assert seen_by(job(count, **variables)) == sees
    assert not (tmp_path / "locks").exists()
