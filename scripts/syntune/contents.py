"""What files hold, as hashes, without reading those again to which nobody wrote since."""

import json
import os
from contextlib import suppress
from pathlib import Path

from syntune.files import sha256_file, write_json


class Contents:
    """The SHA-256 of files, kept from one process to the next.

    A file is read again if its size, its place on the disk or one of its times is another. Whoever puts another file of
    the same size and time there (``cp -p``, ``rsync -a``, ``tar``) still changes the time of its status.
    """

    def __init__(self, kept: Path) -> None:
        """``kept`` is the file in which hashes are kept."""
        self._kept = kept
        self._known: dict[str, list] = {}
        with suppress(OSError, ValueError):
            self._known = json.loads(kept.read_bytes())

    def of(self, file: str) -> str:
        """The hash of a file's content."""
        status = os.stat(file)
        now = [status.st_size, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]
        *known, sha256 = self._known.get(file, [None])
        if known != now:
            sha256 = sha256_file(file)
            self._known[file] = [*now, sha256]
            write_json(self._kept, self._known)
        return sha256
