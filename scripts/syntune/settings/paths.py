"""Every file and folder that the config names is there before anything runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from syntune.errors import UserError
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
    for key, path, needed in _named_paths(settings):
        found = made.get(Path(path)) or _kind(Path(path))
        if found is None:
            raise UserError(f"{source}: {key}: {path} does not exist (paths start from {Path.cwd()})")
        if needed not in (found, "file or folder"):
            raise UserError(f"{source}: {key}: {path} is a {found}; name a {needed}")


def _kind(path: Path) -> Kind | None:
    """What lies at ``path``; None where nothing does."""
    if path.is_dir():
        return "folder"
    return "file" if path.exists() else None


def _named_paths(settings: Settings) -> Iterator[tuple[str, str, Kind]]:
    """Each key that holds a path, the path, and what must lie there."""
    for name, seed in settings.seeds.items():
        yield f"seeds.{name}.path", seed.path, "file"
        if seed.images:
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
