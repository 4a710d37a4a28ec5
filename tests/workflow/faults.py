"""Faults put from outside into a job that runs: signals as it writes, a disk that is full, memory that is short."""

import ctypes
import os
import resource
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from project_copy import Workflow

from syntune.files import sha256_file

SECONDS = 600
"""The longest that anything here may take."""

_IN_CREATE = 0x100
_libc = ctypes.CDLL(None, use_errno=True)

Blow = Callable[[subprocess.Popen[str], psutil.Process], None]


@contextmanager
def own_disk(folder: Path) -> Iterator[None]:
    """Within it, a folder lies on a file system of its own, with what was in it and some MB of room."""
    used = sum(file.stat().st_size + 4096 for file in folder.rglob("*") if file.is_file())
    aside = folder.with_name(f"{folder.name}-aside")
    folder.rename(aside)
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={used + (96 << 20)}", "tmpfs", folder], check=True)
    try:
        shutil.copytree(aside, folder, symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(aside)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def full(folder: Path, left: int) -> Iterator[None]:
    """Within it, the file system of a folder has so many bytes left."""
    ballast = folder / "ballast"
    ballast.touch()
    size = shutil.disk_usage(folder).free - left
    subprocess.run(["fallocate", "--length", str(size), ballast], check=True)
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Within it, the file system of a folder can only be read."""
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)


def strike(
    workflow: Workflow, target: str, script: str, blow: Blow, places: Sequence[Path] | None = None
) -> tuple[int, str]:
    """Start Snakemake, and deal a blow to a job of it as it first writes; its exit status and what it printed.

    Args:
        workflow: the copy.
        target: what is asked for.
        script: the name of the job's script.
        blow: what befalls Snakemake or the job, which it is given.
        places: the folders in which the job's first file appears, under a temporary name; None: as the job begins.
    """
    with _watch(places or []) as wait_for_file:
        started = workflow.start(target)
        job = find_job(started, script)
        if places:
            wait_for_file(job)
        blow(started, job)
    output, _ = started.communicate(timeout=SECONDS)
    return started.returncode, output


def find_job(started: subprocess.Popen[str], script: str) -> psutil.Process:
    """The process that runs a script, once Snakemake has started it."""
    snakemake, end = psutil.Process(started.pid), time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert started.poll() is None, started.communicate()[0]
        for process in snakemake.children(recursive=True):
            try:
                program, *arguments = process.cmdline() or [""]
            except psutil.Error:
                continue
            if Path(program).name.startswith("python") and f"scripts/{script}.py" in arguments:
                return process
        time.sleep(0.02)
    raise TimeoutError(script)


@contextmanager
def _watch(folders: Sequence[Path]) -> Iterator[Callable[[psutil.Process], None]]:
    """Yield a function that waits until a temporary file appears in one of some folders, or a process is gone."""
    handle = _libc.inotify_init1(os.O_CLOEXEC)
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        assert _libc.inotify_add_watch(handle, os.fsencode(folder), _IN_CREATE) >= 0

    def wait(job: psutil.Process) -> None:
        seen = b""
        while b"@" not in seen and b".jsonl" not in seen and job.is_running():
            if select.select([handle], [], [], 0.5)[0]:
                seen = os.read(handle, 1 << 16)

    try:
        yield wait
    finally:
        os.close(handle)


def send(number: signal.Signals) -> Blow:
    """A signal to the job."""
    return lambda started, job: _unless_gone(job.send_signal, number)


def power_cut(started: subprocess.Popen[str], job: psutil.Process) -> None:
    """All processes at once are gone."""
    snakemake = psutil.Process(started.pid)
    for process in [job, snakemake, *snakemake.children(recursive=True)]:
        _unless_gone(process.kill)


def orphaned(started: subprocess.Popen[str], job: psutil.Process) -> None:
    """Snakemake is gone; its job stands still, as if it were slow, until someone lets it go on."""
    _unless_gone(job.suspend)
    psutil.Process(started.pid).kill()
    started.wait()


def go_on(job: psutil.Process) -> None:
    """Let a job that stands still go on, and wait for its end."""
    _unless_gone(job.resume)
    psutil.wait_procs([job], timeout=SECONDS)


def little_address_space(started: subprocess.Popen[str], job: psutil.Process) -> None:
    """The job gets some MB of addresses more, and then none, as under ``ulimit -v``."""
    _unless_gone(lambda: job.rlimit(resource.RLIMIT_AS, (job.memory_info().vms + (48 << 20),) * 2))


@contextmanager
def little_memory(size: int) -> Iterator[Blow]:
    """Yield a blow after which the system kills the job once it takes more than so many bytes, as clusters have it."""
    first = Path("/sys/fs/cgroup/memory")  # of the first version of control groups
    parent, name = (first, "memory.limit_in_bytes") if first.is_dir() else (first.parent, "memory.max")
    group = parent / f"syntune-test-{os.getpid()}"
    group.mkdir()
    (group / name).write_text(str(size))
    try:
        yield lambda started, job: _unless_gone((group / "cgroup.procs").write_text, str(job.pid))
    finally:
        group.rmdir()


def _unless_gone(act: Callable[..., None], *arguments: object) -> None:
    """Do something to a process, if it still is there."""
    with suppress(psutil.NoSuchProcess, ProcessLookupError):
        act(*arguments)


def hashes(folder: Path) -> dict[str, str]:
    """Of each file below a folder the SHA-256, by its path there."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def flip(path: Path) -> None:
    """Change a bit in the middle of a file, as a failing disk does: its size and time stay."""
    content, stat = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def cut(path: Path) -> None:
    """Take the second half of a file away, as a copy that broke off does; its time stays."""
    stat = path.stat()
    os.truncate(path, stat.st_size // 2)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
