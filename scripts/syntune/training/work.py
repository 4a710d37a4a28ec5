"""The work folder: where a run trains, so that a failed job can go on and a changed one cannot.

Snakemake deletes the outputs of a failed job. So checkpoints lie in ``results/work/{run}/{fingerprint}``, and only the
finished result is the job's output.
"""

import importlib.util
import os
import re
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

from syntune.errors import UserError
from syntune.files import canonical_json, fsync, read_json, sha256_bytes, sha256_file, write_json
from syntune.settings.runs import TrainedRunSettings
from syntune.sources import source_files

_NOT_IN_RESULT = {"save_steps", "keep_checkpoints", "workers", "timeout", "gpus", "zero"}
"""Settings that change no result, or, as gpus and zero, what a checkpoint cannot be taken over from."""


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package.replace("-", "_")) is not None


_ALWAYS = ("torch", "transformers", "peft", "accelerate", "deepspeed", "safetensors")
PACKAGES = (*_ALWAYS, *filter(_is_installed, ("bitsandbytes", "flash-attn")))
"""Whose versions a result depends on."""

_MARK = "complete.json"


def fingerprint(settings: TrainedRunSettings, dataset: str, starts: list[str], script: str = "train") -> str:
    """What a result depends on, as one hash: settings, content of data and start, code, and package versions.

    Args:
        settings: the run's.
        dataset: content hash of the dataset.
        starts: content hashes of the checkpoints that the run starts from.
        script: the script whose code counts.
    """
    code = [[path.name, sha256_file(path)] for path in source_files(script)]
    kept = settings.model_dump(mode="json", exclude=_NOT_IN_RESULT)
    versions = [[package, metadata.version(package)] for package in PACKAGES]
    return sha256_bytes(canonical_json([kept, dataset, starts, code, versions]).encode())[:32]


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
        """The newest whole checkpoint.

        Raises:
            UserError: it was written by another number of GPUs or another ZeRO stage.
        """
        checkpoints = self._checkpoints()
        if not checkpoints:
            return None
        newest = checkpoints[-1]
        wrote = read_json(newest / _MARK)["layout"]
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
        files = sorted(file for file in written.rglob("*") if file.is_file())
        for file in files:
            fsync(file)
        write_json(written / _MARK, {"layout": self.layout, "step": step, "files": [str(f.name) for f in files]})
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
