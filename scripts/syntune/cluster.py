"""Whether the partitions of a SLURM cluster have room for what is planned, looked at before anything runs.

SLURM lets a job that asks for too many minutes wait for ever, and refuses one that asks for too much only when it is
submitted: a training, after the whole data stage.
"""

import logging
import math
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snakemake.dag import DAG
from snakemake.jobs import Job
from snakemake_executor_plugin_slurm.partitions import (
    Partition,
    get_best_partition,
    parse_gpu_requirements,
    read_partition_file,
)

from syntune.errors import UserError
from syntune.terminal.plan import jobs_to_run
from syntune.terminal.reasons import name_of

_SINFO = ("sinfo", "--noheader", "--exact", "--format=%R|%l|%c|%m|%G|%P")
"""Of each kind of node in each partition: name, time limit, CPUs, MB of memory, GPUs and the like, mark of default."""

_quiet = logging.getLogger("syntune.cluster")
_quiet.disabled = True


@dataclass(frozen=True)
class Room:
    """What a job asks for, or what a kind of node gives: minutes, CPUs, MB of memory, GPUs of one node."""

    runtime: float
    threads: int
    mem_mb: int
    gpu: int


def require_room(dag: DAG, partition_file: Path | None) -> None:
    """Stop unless each job that is planned fits into its partition, busy or not.

    Args:
        dag: what is planned.
        partition_file: the plugin's ``partition_config``; None if SLURM or ``slurm_partition`` chooses.

    Raises:
        UserError: a job would never run, or one without a GPU would take up a node that has some.
    """
    partitions = read_partition_file(partition_file) if partition_file else []
    rooms = read_rooms()
    for job in jobs_to_run(dag):
        if not job.is_local and (problem := lack(job, partitions, rooms)):
            raise UserError(f"{name_of(job)}: {problem}; your partitions stand in {partition_file or 'the profile'}")


def read_rooms() -> dict[str, list[Room]]:
    """What each partition's kinds of nodes give; the default partition also by the name ``""``.

    Raises:
        UserError: SLURM does not answer.
    """
    if not shutil.which("sinfo"):
        raise UserError("sinfo is not on the path: run snakemake on a login node of the cluster")
    done = subprocess.run(_SINFO, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"SLURM does not answer: {done.stderr.strip()}")
    rooms = defaultdict(list)
    for line in done.stdout.splitlines():
        name, limit, cpus, memory, gres, marked = line.split("|")
        room = Room(_minutes(limit), int(cpus), int(memory), _gpus(gres))
        rooms[name].append(room)
        if marked.endswith("*"):
            rooms[""].append(room)
    return rooms


def lack(job: Job, partitions: Sequence[Partition], rooms: dict[str, list[Room]]) -> str | None:
    """What keeps a job from running where Snakemake's plugin would send it; None if nothing does."""
    asked = job.resources
    need = Room(asked.get("runtime") or 0, job.threads, asked.get("mem_mb") or 0, parse_gpu_requirements(job)[0])
    name = asked.get("slurm_partition") or _best(job, partitions)
    if partitions and not name:
        return f"no partition has room for {', '.join(f'{key}={value}' for key, value in vars(need).items())}"
    if name not in rooms:
        return f"SLURM has no partition {name or 'by default'}, but {', '.join(sorted(filter(None, rooms)))}"
    with_gpus = {partition.name for partition in partitions if partition.limits.max_gpu}
    if not need.gpu and name in with_gpus and len(with_gpus) < len(partitions):
        return f"needs no GPU, but {name} fits it best; give the others the same max_ keys as {name}, or give it none"
    tight = min((_too_much(need, room) for room in rooms[name]), key=lambda most: (len(most), -sum(most.values())))
    if not tight:
        return None
    key, most = next(iter(tight.items()))
    problem = f"{key}={getattr(need, key)} is more than the {most:.0f} of partition {name or 'by default'}"
    if key == "gpu":
        return f"{problem} on one node"
    option = f"--set-threads {job.rule.name}=" if key == "threads" else f"--set-resources {job.rule.name}:{key}="
    resumes = "; each retry of a training goes on from its checkpoint" if job.rule.name == "train" else ""
    return f"{problem}; ask for less: {option}{most:.0f}{resumes}"


def _best(job: Job, partitions: Sequence[Partition]) -> str:
    """The name of the partition that the plugin chooses; an empty one if it leaves that to SLURM."""
    return get_best_partition(partitions, job, _quiet) or "" if partitions else ""


def _too_much(need: Room, room: Room) -> dict[str, float]:
    """What a kind of node gives of that of which a job asks for more."""
    return {key: getattr(room, key) for key, value in vars(need).items() if value > getattr(room, key)}


def _minutes(limit: str) -> float:
    """sinfo's ``[days-][hours:]minutes:seconds``."""
    if not limit[0].isdigit():
        return math.inf
    days, _, clock = limit.rpartition("-")
    hours, minutes, seconds = ([0, 0] + [int(part) for part in clock.split(":")])[-3:]
    return int(days or 0) * 1440 + hours * 60 + minutes + seconds / 60


def _gpus(gres: str) -> int:
    """The GPUs in sinfo's ``gpu:a100:4(S:0-1),shard:8``."""
    parts = [part.partition("(")[0].split(":") for part in gres.split(",")]
    return sum(int(part[-1]) if part[-1].isdigit() else 1 for part in parts if part[0] == "gpu")
