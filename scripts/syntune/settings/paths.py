"""Every file that the config names is there before anything runs."""

from collections.abc import Iterator
from pathlib import Path

from syntune.errors import UserError
from syntune.settings.tree import Settings


def check_paths(settings: Settings, source: str, made_by_rules: str) -> None:
    """Refuse a path that does not exist, naming its key; paths in the folder ``made_by_rules`` are made on the way."""
    for key, path in _named_paths(settings):
        if not Path(path).is_relative_to(made_by_rules) and not Path(path).exists():
            raise UserError(f"{source}: {key}: {path} does not exist (paths start from {Path.cwd()})")


def _named_paths(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each key that holds a path, and the path."""
    for name, seed in settings.seeds.items():
        yield f"seeds.{name}.path", seed.path
        if seed.images:
            yield f"seeds.{name}.images", seed.images
    for name, dataset in settings.datasets.items():
        if dataset.recipe:
            yield f"datasets.{name}.recipe", dataset.recipe
    for name, model in settings.models.items():
        for key, path in model.paths().items():
            yield f"models.{name}.{key}", path
    for name, benchmark in settings.benchmarks.items():
        for key, path in benchmark.paths().items():
            yield f"benchmarks.{name}.{key}", path
