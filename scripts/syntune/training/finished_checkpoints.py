"""Finished checkpoints, kept by fingerprint: a training that turns out equal to one takes it and ends in seconds.

``results/finished/{run}/{fingerprint}/`` holds what ``results/checkpoints`` held when the training ended: the folder of
the run and its manifest. Weights are hard links, so that the present checkpoint takes no further space; small files are
copies, so that a damaged one can be had again.
"""

import logging
import os
import shutil
from pathlib import Path

from syntune.artifacts.manifests import part_files, read_manifest
from syntune.errors import UserError
from syntune.files import atomic_directory, keep_newest, link_file, write_json
from syntune.settings.runs import TrainedRunSettings

log = logging.getLogger("train")

_LARGE = 2**20
"""Bytes of a file above which it is linked."""


class FinishedCheckpoints:
    """A run's finished checkpoints, the newest few."""

    def __init__(self, folder: Path, keep: int) -> None:
        """``keep`` checkpoints stay in ``folder``; 0 keeps none."""
        self.folder, self.keep = folder, keep

    def take(self, fingerprint: str, settings: TrainedRunSettings, checkpoint: Path, manifest: Path) -> bool:
        """Put the finished checkpoint of ``fingerprint`` in place; whether there is one, whole.

        The manifest gets the present ``settings``: those that the fingerprint leaves out may differ.
        """
        kept = self.folder / fingerprint
        try:
            part_files(kept / manifest.name)
        except UserError:
            shutil.rmtree(kept, ignore_errors=True)  # one that is damaged would be found again and again
            return False
        with atomic_directory(checkpoint) as folder:
            _link_tree(kept / checkpoint.name, folder)
        stored = read_manifest(kept / manifest.name)
        write_json(manifest, stored.model_copy(update={"settings": settings.model_dump(mode="json")}).as_written())
        os.utime(kept)
        keep_newest(self.folder, self.keep)
        log.info("a training of this data, settings, start and code ended before (%s): its checkpoint is taken", kept)
        return True

    def put(self, fingerprint: str, checkpoint: Path, manifest: Path) -> None:
        """Keep a checkpoint that was just finished, and let go of the oldest."""
        if self.keep:
            with atomic_directory(self.folder / fingerprint) as folder:
                _link_tree(checkpoint, folder / checkpoint.name)
                shutil.copyfile(manifest, folder / manifest.name)
        keep_newest(self.folder, self.keep)


def _link_tree(source: Path, target: Path) -> None:
    """Copy a folder, large files as hard links where the file system has them."""
    shutil.copytree(
        source, target, copy_function=_link_if_large, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".snakemake*")
    )


def _link_if_large(source: str, target: str) -> None:
    """Make ``target`` the file ``source``, or a copy of it."""
    if os.stat(source).st_size > _LARGE:
        link_file(source, target)
    else:
        shutil.copy2(source, target)
