"""Whether jobs fit into the partitions of a stand-in for sinfo; tests/workflow/test_slurm.py asks a real one."""

import re
from types import SimpleNamespace

import pytest
import snakemake.api  # noqa: F401  first: Snakemake's modules import each other
from snakemake_executor_plugin_slurm.partitions import Partition, PartitionLimits

from syntune.cluster import Room, lack, read_rooms
from syntune.errors import UserError

PARTITIONS = [Partition("cpu", PartitionLimits()), Partition("gpu", PartitionLimits(max_gpu=8))]
SINFO = r"""#!/bin/sh
echo 'cpu|30:00|64|256000|(null)|cpu*'
echo 'gpu|1-12:00:00|32|64000|gpu:a100:2(S:0-1),shard:8|gpu'
echo 'gpu|1-12:00:00|32|512000|gpu:4|gpu'
echo 'long|infinite|64|256000|gpu|long'
"""


@pytest.fixture
def rooms(tmp_path, monkeypatch):
    (tmp_path / "sinfo").write_text(SINFO)
    (tmp_path / "sinfo").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return read_rooms()


def job(rule="train", threads=8, **resources):
    return SimpleNamespace(name=rule, rule=SimpleNamespace(name=rule), threads=threads, resources=resources)


def test_each_kind_of_node_is_read(rooms):
    assert rooms["cpu"] == rooms[""] == [Room(30, 64, 256000, 0)]
    assert rooms["gpu"] == [Room(2160, 32, 64000, 2), Room(2160, 32, 512000, 4)]
    assert rooms["long"] == [Room(float("inf"), 64, 256000, 1)]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (job(runtime=1440, mem_mb=32000, gpu=2), None),
        (job(runtime=20, mem_mb=100000), None),
        (
            job(runtime=3000, mem_mb=32000, gpu=1),
            "runtime=3000 is more than .* train:runtime=2160; each retry",
        ),
        (job("shard", runtime=60), "runtime=60 is more than the 30 of partition cpu; .* shard:runtime=30$"),
        (job(runtime=60, mem_mb=600000, gpu=1), "mem_mb=600000 is more than the 512000"),
        (job(runtime=60, gpu=1, threads=40), "threads=40 .* --set-threads train=32"),
        (job(runtime=60, gpu=8), "gpu=8 is more than the 4 of partition gpu on one node"),
        (job(runtime=60, gpu=16), "no partition has room for runtime=60, threads=8, mem_mb=0, gpu=16"),
        (job(runtime=60, slurm_partition="gpus"), "SLURM has no partition gpus, but cpu, gpu, long"),
    ],
)
def test_what_a_job_lacks_is_named(rooms, asked, said):
    problem = lack(asked, PARTITIONS, rooms)
    assert problem is None if said is None else re.search(said, problem)


def test_a_job_without_a_gpu_is_kept_from_nodes_that_have_some(rooms):
    limited = PartitionLimits(max_gpu=8, max_runtime=20, max_mem_mb=100)  # the plugin takes the tightest fit
    partitions = [PARTITIONS[0], Partition("gpu", limited)]
    assert "needs no GPU, but gpu fits it best" in lack(job(runtime=20, mem_mb=100), partitions, rooms)


def test_a_machine_without_slurm_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="sinfo is not on the path"):
        read_rooms()
