"""Whether a seed's files are still those that were read, told from outside: by names, sizes and times."""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from syntune.settings.file_states import Found, files_at, times_and_sizes
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
    return times_and_sizes(_looked_at(records, images, watch_images, results))


def _looked_at(records: Iterable[str], images: str | None, watch_images: bool, results: str) -> Iterator[Found]:
    """The files of :func:`seed_state`."""
    records = [path for path in records if not is_made(path, results)]
    files = [path for path in records if not os.path.isdir(path)]
    for file in files:
        yield file, os.stat(file)
    beside = {os.path.dirname(file) or "." for file in files} | (set(records) - set(files))
    for folder in ([images] if images else sorted(beside)) if watch_images else ():
        yield from images_below(folder, results, only_images=folder not in (images, *records))


def images_below(folder: str, results: str, only_images: bool = False) -> Iterator[Found]:
    """The files of a folder of images, without what rules make; none of the root's or of one that is not there.

    Where the working folder lies in it, and with ``only_images``, those with the endings of images alone.
    """
    top = os.path.abspath(folder)
    if not os.path.isdir(top) or top == os.path.sep:
        return
    only_images = only_images or Path.cwd().is_relative_to(top)
    for name, status in files_at(folder, partial(is_made, results=results)):
        if is_image(name) or not only_images:
            yield name, status
