"""Checkpoints as the workflow lays them: a folder with a full model, then folders with what was trained on it.

A full model's ``config.json`` names its family. What was trained on it is an adapter (``adapter_config.json``), the
connector (``non_lora_trainables.safetensors``) or both. Weights are safetensors; an adapter's folder may also hold
PyTorch files, as the reference MGM writes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from syntune.artifacts.beside import manifest_of
from syntune.artifacts.manifests import part_files
from syntune.errors import UserError
from syntune.models.adapters import ADAPTER_CONFIG, BESIDE, adapter_file, merge
from syntune.models.family import Family, Processor
from syntune.models.registry import family_of


@dataclass(frozen=True)
class Loaded:
    """A model ready to answer or to be trained, with its processor."""

    model: Any
    processor: Processor
    family: Family


def load_chain(
    folders: Sequence[Path], dtype: torch.dtype, device: torch.device | str = "cpu", checked: bool = False
) -> Loaded:
    """The model that a chain of folders makes: a full checkpoint, then others, each merged into what is before it.

    A folder that has a manifest beside it must hold what that describes: every file is hashed, which takes longer than
    to load it, unless the caller has just ``checked`` them.

    Raises:
        UserError: a folder is not what its place asks for or is damaged, or an adapter is for another base.
    """
    base, *others = folders
    if not checked:
        check_chain(folders)
    if not is_full(base):
        raise UserError(f"{base}: is an adapter; the folder of its base must come before it")
    for folder in others:
        if is_full(folder):
            raise UserError(f"{folder}: {_why_no_adapter(folder, base)}")
    family = family_of(base)
    model = family.load_model(base, dtype)
    for folder in others:
        model = merge(model, folder, family)
    return Loaded(model.to(device).eval(), family.load_processor(base), family)


def check_chain(folders: Sequence[Path]) -> None:
    """Check the files of each folder that has a manifest beside it.

    Raises:
        UserError: one is missing or is not what the manifest describes.
    """
    for folder in folders:
        if (manifest := manifest_of(folder)).is_file():
            part_files(manifest)


def _why_no_adapter(folder: Path, base: Path) -> str:
    """What is wrong with a folder that stands behind ``base`` and holds nothing that was trained on it."""
    if not folder.is_dir():
        return "no such folder"
    if (folder / "config.json").is_file():
        return f"is a whole model, which needs no base; leave out {base} and what else stands before it"
    return f"is no adapter on {base} (neither {ADAPTER_CONFIG} nor {BESIDE} is in it)"


def is_full(folder: Path) -> bool:
    """Whether a folder stands alone: it is neither an adapter nor a connector."""
    return not (folder / ADAPTER_CONFIG).is_file() and not adapter_file(folder, BESIDE).is_file()
