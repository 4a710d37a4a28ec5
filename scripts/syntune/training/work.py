"""The work folder: where a run trains, so that a failed job can go on and a changed one cannot.

Snakemake deletes the outputs of a failed job. So checkpoints lie in ``results/work/{run}/{fingerprint}``, and only the
finished result is the job's output.
"""

import importlib.util
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Any

from syntune.artifacts.schema import Artifact
from syntune.errors import UserError
from syntune.files import fsync, hashes_of, read_json, write_json

log = logging.getLogger("train")


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package.replace("-", "_")) is not None


_ALWAYS = ("torch", "transformers", "peft", "accelerate", "deepspeed", "safetensors")
PACKAGES = (*_ALWAYS, *filter(_is_installed, ("bitsandbytes", "flash-attn")))
"""Whose versions a manifest records."""

_MARK = "complete.json"


class _Mark(Artifact):
    """What a whole checkpoint holds beside its files: the layout that wrote it, its step, and the files' hashes."""

    layout: dict[str, Any]
    step: int
    files: dict[str, str]


class Work:
    """The work folder of one fingerprint, and its checkpoints."""

    def __init__(self, folder: Path, layout: dict[str, Any]) -> None:
        """Open or make it.

        Args:
            folder: named by the fingerprint.
            layout: ranks and ZeRO's stage: a checkpoint fits the layout that wrote it alone.
        """
        self.folder, self.layout = folder, layout
        folder.mkdir(parents=True, exist_ok=True)

    def latest(self) -> Path | None:
        """The newest checkpoint that is whole and holds what was written; one that does not is passed over.

        Raises:
            UserError: it was written by another number of GPUs or another ZeRO stage.
        """
        newest = next(filter(_is_sound, reversed(self._checkpoints())), None)
        if newest is None:
            return None
        wrote = _read_mark(newest).layout
        if wrote != self.layout:
            told = ", ".join(f"{key} {wrote.get(key)} (now {self.layout[key]})" for key in self.layout)
            raise UserError(
                f"{newest}: written with another layout: {told}; set it back to go on from there, or delete "
                f"{self.folder} to start again"
            )
        return newest

    def partial(self) -> Path:
        """Where the checkpoint to come is written."""
        return self.folder / "partial"

    def finish(self, step: int, keep: int) -> None:
        """Put the checkpoint of ``step``, written to :meth:`partial`, in its place whole, and prune the older ones."""
        written = self.partial() / f"checkpoint-{step}"
        for file in written.rglob("*"):
            if file.is_file():
                fsync(file)
        for lines in self.folder.glob("*.jsonl"):  # of the steps so far: who goes on from here takes them up, too
            fsync(lines)
        mark = _Mark(layout=self.layout, step=step, files=hashes_of(written, besides=_MARK))
        write_json(written / _MARK, mark.as_written())
        final = self.folder / written.name
        shutil.rmtree(final, ignore_errors=True)
        os.replace(written, final)
        fsync(self.folder)
        for old in self._checkpoints()[:-keep]:
            shutil.rmtree(old)

    def clean(self) -> None:
        """Remove what an interrupted save left."""
        shutil.rmtree(self.partial(), ignore_errors=True)
        for folder in self.folder.glob("checkpoint-*"):
            if not (folder / _MARK).is_file():
                shutil.rmtree(folder)

    def _checkpoints(self) -> list[Path]:
        """Whole checkpoints, the oldest first."""
        found = [folder for folder in self.folder.glob("checkpoint-*") if (folder / _MARK).is_file()]
        return sorted(found, key=lambda folder: int(re.sub(r"\D", "", folder.name)))


def _read_mark(checkpoint: Path) -> _Mark:
    """The mark of a whole checkpoint; a damaged one is a ValueError."""
    return _Mark.model_validate(read_json(checkpoint / _MARK))


def _is_sound(checkpoint: Path) -> bool:
    """Whether a checkpoint holds the files that were written, byte for byte; a warning says so if it does not."""
    found = hashes_of(checkpoint, besides=_MARK)
    try:
        written = _read_mark(checkpoint).files
        changed = sorted(name for name in found.keys() | written.keys() if found.get(name) != written.get(name))
    except ValueError:
        changed = [_MARK]
    if changed:
        log.warning("%s: damaged (%s); the checkpoint before it is taken", checkpoint, ", ".join(changed))
    return not changed
