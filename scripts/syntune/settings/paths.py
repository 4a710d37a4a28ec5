"""Every file and folder that the config names is there before anything runs."""

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from syntune.errors import UserError
from syntune.settings.seed_files import find_records, hub_path
from syntune.settings.seeds import SeedSettings
from syntune.settings.tree import Settings

Kind = Literal["file", "folder", "file or folder"]

MADE: dict[str, Kind] = {
    "seed.jsonl": "file",
    "images": "folder",
    "textvqa/annotations.json": "file",
    "textvqa/questions.jsonl": "file",
    "textvqa/images": "folder",
    "mmbench/table.tsv": "file",
    "manifest.json": "file",
}
"""What the rule easy_vqa makes in its folder."""


def check_paths(settings: Settings, source: str, made_by_rules: str) -> None:
    """Refuse a path that does not exist, or is not of the kind that its key needs, naming the key.

    What the rule easy_vqa makes in the folder ``made_by_rules`` may be missing: it is made on the way.
    """
    made = {Path(made_by_rules, name): kind for name, kind in MADE.items()}
    for name, seed in settings.seeds.items():
        for path in seed.paths:
            if hub_path(path) is None:
                _check_records(f"{source}: seeds.{name}.path", path, seed, made.get(Path(path)))
    for key, path, needed in _named_paths(settings):
        _refuse_braces(f"{source}: {key}", path)
        found = made.get(Path(path)) or _kind(Path(path))
        if found is None:
            what = "is no regular file" if os.path.exists(path) else f"does not exist (paths start from {Path.cwd()})"
            raise UserError(f"{source}: {key}: {path} {what}")
        if needed not in (found, "file or folder"):
            raise UserError(f"{source}: {key}: {path} is a {found}; name a {needed}")


def _check_records(key: str, path: str, seed: SeedSettings, made: Kind | None) -> None:
    """Refuse a seed's path at which no records of a known format lie."""
    _refuse_braces(key, path)
    if made == "folder":
        raise UserError(f"{key}: {path} is a folder; name a file")
    if made == "file":
        return
    if not os.path.lexists(path) and not glob.has_magic(path):
        raise UserError(f"{key}: {path} does not exist (paths start from {Path.cwd()})")
    try:
        found = find_records(path, seed)
    except UserError as error:
        raise UserError(f"{key}: {error}") from error
    for file in found.paths:
        _refuse_braces(key, str(file))


def _refuse_braces(key: str, path: str) -> None:
    """Refuse what Snakemake would take for the name of a wildcard."""
    if "{" in path or "}" in path:
        raise UserError(f"{key}: {path}: a path cannot have braces, for Snakemake puts wildcards there; rename it")


def _kind(path: Path) -> Kind | None:
    """What lies at ``path``; None where nothing does, or what may never end: a pipe or a device."""
    if path.is_dir():
        return "folder"
    return "file" if path.is_file() else None


def _named_paths(settings: Settings) -> Iterator[tuple[str, str, Kind]]:
    """Each key that holds a path, the path, and what must lie there."""
    for name, seed in settings.seeds.items():
        if seed.images and hub_path(seed.images) is None:
            yield f"seeds.{name}.images", seed.images, "folder"
    for name, dataset in settings.datasets.items():
        if dataset.recipe:
            yield f"datasets.{name}.recipe", dataset.recipe, "file"
    for name, model in settings.models.items():
        for key, path in model.paths().items():
            yield f"models.{name}.{key}", path, "file or folder"
    for name, benchmark in settings.benchmarks.items():
        for key, path in benchmark.paths().items():
            yield f"benchmarks.{name}.{key}", path, "folder" if path in benchmark.folders() else "file"
