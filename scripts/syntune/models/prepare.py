"""A base model, from wherever its weights are, as a full checkpoint in this project's layout."""

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syntune.artifacts.manifests import Part, read_manifest, write_manifest
from syntune.errors import UserError
from syntune.files import atomic_directory
from syntune.models.adapters import merge
from syntune.models.checkpoints import load_chain
from syntune.models.full_checkpoints import stored_dtype
from syntune.models.hub import fetch_checkpoint
from syntune.models.mgm.bases import convert_reference, write_parts, write_tiny
from syntune.models.mgm.reference_checkpoints import adopt_reference_config, read_reference_config
from syntune.models.scorers import load_scorer
from syntune.models.weights import INDEX, read_weights, weight_files
from syntune.settings.models import (
    AdapterModelSettings,
    HubModelSettings,
    LocalModelSettings,
    ModelSettings,
    PartsModelSettings,
    ScorerSettings,
    TinyModelSettings,
    hub_address,
)

log = logging.getLogger("prepare_base")

_COPIED = (".json", ".model", ".txt", ".jinja")
"""What a checkpoint has beside its weights; code is not copied."""


@dataclass(frozen=True)
class Ingredients:
    """What other rules made: the manifest of a tokenizer's dataset, the folder and manifest of an adapter's base."""

    dataset_manifest: Path | None = None
    base: Path | None = None
    base_manifest: Path | None = None


def prepare_base(name: str, settings: ModelSettings, ingredients: Ingredients, model: Path, manifest: Path) -> None:
    """Write the checkpoint folder ``model``, load it as training and prediction will, and write its manifest.

    Raises:
        UserError: the weights are not what the settings say; nothing is written.
    """
    with atomic_directory(model) as folder:
        inputs = _write(settings, ingredients, folder)
        details = describe_scorer(folder) if isinstance(settings, ScorerSettings) else describe(folder)
    log.info("%s: %s, %d parameters, %s", name, details["family"], details["parameters"], details["dtype"])
    write_manifest(
        manifest,
        stage="prepare_base",
        name=name,
        parts=[Part.from_file(file, manifest.parent) for file in sorted(model.rglob("*")) if file.is_file()],
        packages=("torch", "transformers", "tokenizers", "safetensors", "peft"),
        inputs=inputs,
        settings=settings.model_dump(),
        details=details,
    )


def describe(folder: Path) -> dict[str, Any]:
    """The manifest's details: family, type of the weights, vocabulary, image tokens, parameters in all and by part."""
    dtype = stored_dtype(folder)
    loaded = load_chain([folder], dtype)
    parts: dict[str, int] = {}
    for name, parameter in loaded.model.named_parameters():  # tied weights come once
        part = name.partition(".")[0]
        parts[part] = parts.get(part, 0) + parameter.numel()
    return {
        "family": loaded.family.name,
        "dtype": str(dtype).removeprefix("torch."),
        "vocab_size": loaded.model.get_input_embeddings().weight.shape[0],
        "tokens_per_image": getattr(loaded.model.config, "tokens_per_image", None),
        "parameters": sum(parts.values()),
        "parts": parts,
    }


def describe_scorer(folder: Path) -> dict[str, Any]:
    """The details of a scorer: what it is, type of the stored weights, parameters; loading it proves that it loads."""
    scorer = load_scorer(folder)
    return {
        "family": f"scorer ({scorer.kind})",
        "dtype": str(stored_dtype(folder)).removeprefix("torch."),
        "parameters": sum(parameter.numel() for parameter in scorer.model.parameters()),
    }


def write_checkpoint(source: Path, towers: dict[str, Path], folder: Path) -> None:
    """A checkpoint that is already whole: the reference MGM's is converted, others are copied as safetensors."""
    if read_reference_config(source) is not None:
        convert_reference(source, towers, folder)
        return
    if towers:
        raise UserError(f"{source}: is no reference MGM, so it takes no {' and no '.join(towers)}")
    _copy(source, folder, lambda: load_chain([source], stored_dtype(source)).model)


def write_scorer(source: Path, folder: Path) -> None:
    """A scorer as it is, its weights as safetensors."""
    _copy(source, folder, lambda: load_scorer(source).model)


def _copy(source: Path, folder: Path, load: Callable[[], Any]) -> None:
    """Copy a checkpoint's files; ``load`` gives the model, which is written anew where its weights are pickles."""
    if not source.is_dir():
        raise UserError(f"{source}: is not a folder")
    files = weight_files(source)
    read_weights(source)  # names an empty tensor or a file that is none, which transformers does not
    model = load()
    as_they_are = all(file.suffix == ".safetensors" for file in files)
    for file in sorted(source.iterdir()):
        if file.suffix in _COPIED and not file.name.endswith(".index.json"):
            shutil.copyfile(file, folder / file.name)
    for file in [*files, source / INDEX] if as_they_are else []:
        if file.is_file():
            shutil.copyfile(file, folder / file.name)
    if not as_they_are:
        model.save_pretrained(folder)


def write_merged(base: Path, adapter: Path, folder: Path) -> None:
    """A base with an adapter merged into it, in the base's own type."""
    loaded = load_chain([base], stored_dtype(base))
    merged = merge(loaded.model, adapter, loaded.family)
    adopt_reference_config(merged, adapter)
    loaded.family.write_full(merged, loaded.processor, folder, adapter)


def _write(settings: ModelSettings, ingredients: Ingredients, folder: Path) -> dict[str, str]:
    """Write a model's checkpoint; returns the content hashes of what other rules made for it."""
    weights = {key: _local(value) for key, value in settings.weights().items()}
    match settings:
        case TinyModelSettings():
            manifest = _given(ingredients.dataset_manifest, "--dataset-manifest")
            write_tiny(settings, manifest, folder)
            return {"tokenizer_dataset": read_manifest(manifest).content}
        case LocalModelSettings():
            write_checkpoint(Path(settings.path), weights, folder)
        case HubModelSettings():
            write_checkpoint(fetch_checkpoint(settings.repo, settings.revision), weights, folder)
        case PartsModelSettings():
            write_parts(settings, weights, folder)
        case ScorerSettings():
            write_scorer(weights["path"], folder)
        case AdapterModelSettings():
            manifest = _given(ingredients.base_manifest, "--base-manifest")
            write_merged(_given(ingredients.base, "--base"), weights["path"], folder)
            return {"base": read_manifest(manifest).content}
    return {}


def _local(weights: str) -> Path:
    """The local path of what a setting names; from the hub, if it is there."""
    address = hub_address(weights)
    return fetch_checkpoint(*address) if address else Path(weights)


def _given(path: Path | None, option: str) -> Path:
    """A path that a source needs."""
    if path is None:
        raise UserError(f"this model's source needs {option}")
    return path
