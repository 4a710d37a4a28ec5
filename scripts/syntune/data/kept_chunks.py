"""Chunks that were synthesised before, kept by fingerprint: a job whose work turns out equal takes it and ends at once.

``{folder}/{fingerprint}/`` holds the files that the job declares, as hard links, so that what is also a present result
takes no further space. The newest two of a chunk stay.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from syntune.files import (
    atomic_directory,
    canonical_json,
    keep_newest,
    link_file,
    read_json,
    sha256_bytes,
    sha256_file,
    write_json,
)
from syntune.interpreter import spec_digest
from syntune.sources import file_digests

KEPT = 2
"""Versions of a chunk."""

_HASHES = "hashes.json"


def fingerprint(environment: str, code: list[str], *ingredients: Any) -> str:
    """What a piece of work depends on, as 32 hexadecimal digits.

    Args:
        environment: the name of the env spec that it runs in.
        code: scripts or modules, as :func:`syntune.sources.file_digests` takes them.
        ingredients: settings and content hashes, as JSON holds them.
    """
    digests = [file_digests(name) for name in code]
    return sha256_bytes(canonical_json([spec_digest(environment), digests, *ingredients]).encode())[:32]


class KeptChunks:
    """What was made before for one chunk of one stage."""

    def __init__(self, folder: Path) -> None:
        """``folder`` belongs to the chunk alone."""
        self.folder = folder

    def take(self, name: str, files: list[Path]) -> bool:
        """Put the files kept under the fingerprint ``name`` in place; whether they are there, whole."""
        kept = self.folder / name
        if not _is_whole(kept, files):
            shutil.rmtree(kept, ignore_errors=True)
            return False
        for file in files:
            _link(kept / file.name, file)
        os.utime(kept)
        keep_newest(self.folder, KEPT)
        return True

    def put(self, name: str, files: list[Path]) -> None:
        """Keep files that were just made, and let go of the oldest."""
        with atomic_directory(self.folder / name) as folder:
            for file in files:
                _link(file, folder / file.name)
            write_json(folder / _HASHES, {file.name: sha256_file(file) for file in files})
        keep_newest(self.folder, KEPT)


def _is_whole(kept: Path, files: list[Path]) -> bool:
    """Whether these files are kept as they were put there."""
    try:
        hashes = read_json(kept / _HASHES)
        return all(sha256_file(kept / file.name) == hashes[file.name] for file in files)
    except (OSError, ValueError, KeyError):
        return False


def _link(source: Path, target: Path) -> None:
    """Link a file as one that is made now."""
    target.parent.mkdir(parents=True, exist_ok=True)
    link_file(source, target)
    os.utime(target)
