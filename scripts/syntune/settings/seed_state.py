"""Whether a seed's files are still those that were read, told from outside: by names, sizes and times.

Snakemake compares times: a file with an older one (``cp -p``, ``rsync -a``) goes unnoticed, and of a folder of images
it sees nothing at all. A digest over every file notices whatever changes a size or a time, in either direction.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from syntune.settings.results import OF_THE_DEMO, is_made
from syntune.settings.seed_files import is_image


def seed_state(
    records: Iterable[str], images: str | None, watch_images: bool = True, results: str = OF_THE_DEMO
) -> str:
    """A digest of what a seed is read from; of what rules make, it knows nothing.

    Args:
        records: the files of records, and folders that are records as a whole.
        images: the folder of the images; None takes the folders of the records, where it looks at files with the
            endings of images alone, as it does where the working folder lies in ``images``. The root ``/`` is not
            looked at, nor is a folder of a hub.
        watch_images: whether images are looked at.
        results: the folder of what rules make, which Snakemake knows by itself.
    """
    records = [path for path in records if not is_made(path, results)]
    files = [path for path in records if not os.path.isdir(path)]
    digest = hashlib.sha256()
    for file in files:
        digest.update(_line(file, os.stat(file)))
    beside = {os.path.dirname(file) or "." for file in files} | (set(records) - set(files))
    for folder in ([images] if images else sorted(beside)) if watch_images else ():
        top = os.path.abspath(folder)
        if os.path.isdir(top) and not is_made(folder, results) and top != os.path.sep:
            is_whole = folder in (images, *records) and not Path.cwd().is_relative_to(top)
            for name, status in _files(folder, set(), results):
                if is_whole or is_image(name):
                    digest.update(_line(name, status))
    return digest.hexdigest()[:16]


def _line(name: str, status: os.stat_result) -> bytes:
    """What one file adds to the digest."""
    return f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape")


def _files(folder: str, above: set[tuple[int, int]], results: str) -> Iterator[tuple[str, os.stat_result]]:
    """The files of a folder and of those in it, in order, without hidden ones and what rules make; follows links."""
    status = os.stat(folder)
    place = (status.st_dev, status.st_ino)
    if place in above or is_made(folder, results):
        return
    try:
        with os.scandir(folder) as entries:
            shown = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)
    except PermissionError:  # the ingest names the images that it cannot read
        return
    for entry in shown:
        if entry.is_dir():
            yield from _files(entry.path, above | {place}, results)
        elif entry.is_file():
            yield entry.path, entry.stat()
