"""Temporary names beside what is being written, and what killed processes left under such names.

A process that is killed can't clean up, and what it leaves may be as large as a dataset. So each temporary thing has a
lock, which the kernel lets go of when its process ends, however that happens. The first time that a process writes into
a folder, it removes from there what nobody holds any more.
"""

import fcntl
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_HOST = re.sub(r"[^A-Za-z0-9-]", "", socket.gethostname().partition(".")[0])[:40] or "host"
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}@(?P<host>[A-Za-z0-9-]+)\.(file|lock)")

_OTHERS_AGE = 24 * 3600
"""Seconds after which a thing of another machine is taken for left behind: there are file systems whose locks don't
reach other machines."""

_swept: set[Path] = set()


@contextmanager
def temporary_file(target: Path) -> Iterator[Path]:
    """Yield an empty file beside ``target``; at the end it is removed, if it is still there."""
    with _locked(target, ".file") as path:
        yield path


@contextmanager
def temporary_directory(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``target``; at the end it is removed, if it is still there."""
    with _locked(target, ".lock") as lock:
        folder = lock.with_suffix("")
        try:
            folder.mkdir()
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(target: Path, ending: str) -> Iterator[Path]:
    """Yield a new file that this process holds a lock on."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target.parent)
    while True:
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=f"@{_HOST}{ending}")
        with suppress(OSError):  # a file system without locks: nothing of it is ever taken for left behind
            fcntl.flock(handle, fcntl.LOCK_EX)
        if _is_there(handle, name):
            break
        os.close(handle)  # taken for left behind, before it was locked
    path = Path(name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _is_there(handle: int, name: str) -> bool:
    """Whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(name))
    except FileNotFoundError:
        return False


def _sweep(folder: Path) -> None:
    """Remove from a folder what killed processes left there."""
    folder = folder.resolve()
    if folder in _swept:
        return
    _swept.add(folder)
    with os.scandir(folder) as entries:
        found = [(Path(entry.path), match["host"]) for entry in entries if (match := _TEMPORARY.fullmatch(entry.name))]
    for path, host in found:
        with suppress(OSError):  # it ended by itself, or is another user's
            _remove_if_dead(path, host)


def _remove_if_dead(path: Path, host: str) -> None:
    """Remove a temporary file, or the folder of a lock, unless a process holds it."""
    if host != _HOST and time.time() - path.stat().st_mtime < _OTHERS_AGE:
        return
    handle = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.suffix == ".lock":
            shutil.rmtree(path.with_suffix(""), ignore_errors=True)
        path.unlink()
    finally:
        os.close(handle)
