"""What files look like from outside, as digests for the params of rules.

Snakemake compares times: a file with an older one (``cp -p``, ``rsync -a``, ``tar``) goes unnoticed, and of a folder it
sees nothing at all. These digests change in either direction, and with files that come or go.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator

Found = tuple[str, os.stat_result]
"""The path of a file, and what the system says of it."""


def times_and_sizes(files: Iterable[Found]) -> str:
    """A digest over names, sizes and times."""
    return _digest(f"{name}\0{status.st_size}\0{status.st_mtime_ns}" for name, status in files)


def sizes(files: Iterable[Found]) -> str:
    """A digest over names and sizes: a touched file is still the same."""
    return _digest(f"{name}\0{status.st_size}" for name, status in files)


def files_at(path: str, is_left_out: Callable[[str], bool] = lambda folder: False) -> Iterator[Found]:
    """A file itself, or the files below a folder, in order, without hidden ones; links are followed.

    Args:
        path: a file or a folder.
        is_left_out: whether a folder is passed over.
    """
    if os.path.isdir(path):
        yield from _below(path, set(), is_left_out)
    else:
        yield path, os.stat(path)


def _below(folder: str, above: set[tuple[int, int]], is_left_out: Callable[[str], bool]) -> Iterator[Found]:
    """The files of a folder and of those in it; ``above``: the folders that it lies in."""
    status = os.stat(folder)
    place = (status.st_dev, status.st_ino)
    if place in above or is_left_out(folder):
        return
    try:
        with os.scandir(folder) as entries:
            shown = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except PermissionError:  # who reads its files names the one that cannot be read
        return
    for entry in shown:
        if entry.is_dir():
            yield from _below(entry.path, above | {place}, is_left_out)
        elif entry.is_file():
            yield entry.path, entry.stat()


def _digest(lines: Iterable[str]) -> str:
    """One digest of all lines."""
    digest = hashlib.sha256()
    for line in lines:
        digest.update(f"{line}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]
