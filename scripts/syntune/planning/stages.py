"""Rows and bytes that each stage leaves on the disk: counted where it is made, else estimated from what is there."""

import os
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from syntune.artifacts.beside import manifest_of
from syntune.artifacts.manifests import read_manifest
from syntune.artifacts.plans import PlannedStage
from syntune.planning.memory import trained_parameters
from syntune.planning.rows import Rows, seed_rows
from syntune.planning.shapes import Shape
from syntune.recipes.reading import read_recipe
from syntune.recipes.stages import stages_of
from syntune.settings.methods import METHODS
from syntune.settings.runs import TrainedRunSettings
from syntune.settings.seed_files import images_folder, is_image, watched_files
from syntune.settings.tree import Settings

_ROW = 300
"""Bytes of a row's text and names as JSON; a row of the demo has 250."""

_LOOKED_AT = 1000
"""Images whose sizes give the mean of a folder."""

_WEIGHT, _HALF, _OPTIMIZER = 4, 2, 8
"""Bytes of a trained weight, of any other in bfloat16, and of Adam's two moments."""


def planned_stages(
    settings: Settings, results: Path, rows: Mapping[str, Rows], shapes: Mapping[str, Shape]
) -> list[PlannedStage]:
    """Every stage that keeps something large; answers, scores, pages and caches are left out.

    Args:
        settings: of the config; each training is a run of them.
        results: the folder of its results.
        rows: of each dataset.
        shapes: of each training whose model's sizes are known.
    """
    found = [_seed(settings, name, results) for name in settings.seeds]
    for name, dataset in settings.datasets.items():
        found += [_synthesis(settings, name, results)] if dataset.recipe else []
        found.append(_dataset(settings, name, results, rows[name]))
    sizes = {settings.ancestry(run)[0]: shape for run, shape in shapes.items()}
    found += [_model(name, results, sizes.get(name)) for name in settings.checkpoints]
    for name, run in settings.runs.items():
        if isinstance(run, TrainedRunSettings):
            found += _training(name, run, results, shapes.get(name))
    return found


def _seed(settings: Settings, name: str, results: Path) -> PlannedStage:
    """A seed's rows; its images stay where they are."""
    rows = seed_rows(settings, name, results)
    return _stage("seed", name, results, "seed", rows, rows and rows * _ROW)


def _synthesis(settings: Settings, name: str, results: Path) -> PlannedStage:
    """What every stage of a recipe keeps, if it neither drops nor adds rows."""
    dataset = settings.datasets[name]
    rows = seed_rows(settings, dataset.seed, results)
    many = len(stages_of(read_recipe(dataset.recipe), dataset.recipe))
    return _stage("synthesis", name, results, "synth", rows, rows and rows * _ROW * many)


def _dataset(settings: Settings, name: str, results: Path, rows: Rows) -> PlannedStage:
    """The shards, which hold the images."""
    size = None
    if rows.number is not None and not rows.made:
        image = _mean_image(settings, settings.datasets[name].seed)
        size = None if image is None else round(rows.number * (_ROW + rows.images * image))
    return _stage("dataset", name, results, "data", rows.number, size)


def _model(name: str, results: Path, shape: Shape | None) -> PlannedStage:
    """A prepared model."""
    return _stage("model", name, results, "models", None, shape and shape.parameters * _HALF)


def _training(name: str, run: TrainedRunSettings, results: Path, shape: Shape | None) -> Iterator[PlannedStage]:
    """A checkpoint and, until it is there, the work folder with the newest checkpoints and the optimizer's state."""
    trained = sum(trained_parameters(shape, run).values()) if shape else None
    whole = METHODS[run.method].writes == "model"
    frozen = _HALF if run.precision == "bf16" else _WEIGHT
    size = shape and trained * _WEIGHT + (frozen * (shape.parameters - trained) if whole else 0)
    checkpoint = _stage("checkpoint", name, results, "checkpoints", None, size)
    yield checkpoint
    if not checkpoint.counted:
        kept = run.keep_checkpoints + 1  # a new one is whole before the oldest goes
        size = trained and trained * (_WEIGHT + _OPTIMIZER) * kept
        yield PlannedStage(stage="work", name=name, rows=None, bytes=size, counted=False)


def _stage(stage: str, name: str, results: Path, folder: str, rows: int | None, size: int | None) -> PlannedStage:
    """A stage as its manifest and its folder tell; without a manifest, with the estimates given."""
    made = results / folder / name
    manifest = manifest_of(made)
    if manifest.is_file():
        rows = None if stage == "checkpoint" else read_manifest(manifest).rows_out
        return PlannedStage(stage=stage, name=name, rows=rows, bytes=_bytes_below(made), counted=True)
    return PlannedStage(stage=stage, name=name, rows=rows, bytes=size, counted=False)


def _bytes_below(folder: Path) -> int:
    """The sizes of all files of a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _mean_image(settings: Settings, seed: str) -> float | None:
    """The mean size of the first images of a seed's folder, in bytes; None where no folder has any."""
    own = settings.seeds[seed]
    folders = [folder] if (folder := images_folder(own)) else {os.path.dirname(file) for file in watched_files(own)}
    found = [size for folder in sorted(folders) for size in islice(_image_sizes(folder), _LOOKED_AT)]
    return sum(found) / len(found) if found else None


def _image_sizes(folder: str) -> Iterator[int]:
    """The sizes of the images below a folder."""
    for place, _, names in os.walk(folder or "."):
        yield from (os.path.getsize(os.path.join(place, name)) for name in names if is_image(name))
