"""Checkpoints as the workflow lays them: a folder with a full model, then folders with what was trained on it.

A full model's ``config.json`` names its family. What was trained on it is an adapter (``adapter_config.json``), the
connector (``non_lora_trainables.safetensors``) or both. Weights are safetensors; an adapter's folder may also hold
PyTorch files, as the reference MGM writes them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from huggingface_hub.errors import StrictDataclassError
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel

from syntune.errors import UserError, one_line
from syntune.files import read_json
from syntune.models.family import Family, Processor, family_of
from syntune.models.weights import Tensors, check_tensors, read_tensors, refuse

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
BESIDE = "non_lora_trainables.safetensors"
"""What was trained beside the adapter, whole: the connector."""

_PREFIX = "base_model.model."
"""What PEFT puts before a module's name."""

M = TypeVar("M", bound=PreTrainedModel)


@dataclass(frozen=True)
class Loaded:
    """A model ready to answer or to be trained, with its processor."""

    model: Any
    processor: Processor
    family: Family


def load_chain(folders: Sequence[Path], dtype: torch.dtype, device: torch.device | str = "cpu") -> Loaded:
    """The model that a chain of folders makes: a full checkpoint, then others, each merged into what is before it.

    Raises:
        UserError: a folder is not what its place asks for, or an adapter is for another base.
    """
    base, *others = folders
    if not is_full(base):
        raise UserError(f"{base}: is an adapter; the folder of its base must come before it")
    family = family_of(base)
    model = family.load_model(base, dtype)
    for folder in others:
        if is_full(folder):
            raise UserError(f"{folder}: is no adapter on {base} (neither {ADAPTER_CONFIG} nor {BESIDE} is in it)")
        model = merge(model, folder, family)
    return Loaded(model.to(device).eval(), family.load_processor(base), family)


def is_full(folder: Path) -> bool:
    """Whether a folder stands alone: it is neither an adapter nor a connector."""
    return not (folder / ADAPTER_CONFIG).is_file() and not weights_file(folder, BESIDE).is_file()


def merge(model: Any, folder: Path, family: Family) -> Any:
    """Merge an adapter, a connector or both into ``model``; every tensor must find its place.

    Raises:
        UserError: a tensor is missing, unexpected, empty or of another shape: the folder is for another base.
    """
    if (folder / ADAPTER_CONFIG).is_file():
        return apply_adapter(model, folder, family).merge_and_unload()
    _copy_beside(weights_file(folder, BESIDE), model, family)
    return model


def apply_adapter(model: Any, folder: Path, family: Family) -> PeftModel:
    """Put an adapter and what was trained beside it on ``model``; every tensor must find its place.

    Raises:
        UserError: a tensor is missing, unexpected, empty or of another shape: the adapter is for another base.
    """
    file = weights_file(folder, ADAPTER_WEIGHTS)
    weights = read_tensors(file)
    fields = _lora_fields(folder / ADAPTER_CONFIG)
    fields["target_modules"] = _targets(folder / ADAPTER_CONFIG, fields.get("target_modules"), weights, model, family)
    beside = weights_file(folder, BESIDE)
    if beside.is_file():
        _copy_beside(beside, model, family)
    try:
        adapted = get_peft_model(model, LoraConfig(**fields))
    except (ValueError, TypeError, re.error) as error:  # no rank, no pattern, or one that no module matches
        raise UserError(f"{folder / ADAPTER_CONFIG}: does not fit this model ({one_line(error)})") from error
    saved = get_peft_model_state_dict(adapted, save_embedding_layers=False)  # what PEFT would write of this adapter
    check_tensors(file, weights, {name: tensor.shape for name, tensor in saved.items()})
    set_peft_model_state_dict(adapted, weights)
    return adapted


def save_beside(folder: Path, tensors: Tensors, family: Family) -> None:
    """Write what was trained beside an adapter."""
    named = {family.saved_name(name): tensor.contiguous() for name, tensor in tensors.items()}
    save_file(named, folder / BESIDE, metadata={"format": "pt"})


def load_full(kind: type[M], folder: Path, dtype: torch.dtype) -> M:
    """A full checkpoint into a model of class ``kind``.

    Raises:
        UserError: a tensor is missing, unexpected or of another shape.
    """
    try:
        model, info = kind.from_pretrained(
            folder, dtype=dtype, local_files_only=True, output_loading_info=True, ignore_mismatched_sizes=True
        )
    except (OSError, ValueError, TypeError, StrictDataclassError) as error:  # the last three: its config.json
        raise UserError(f"{folder}: not a checkpoint ({one_line(error)})") from error
    faults = {
        "missing": sorted(info["missing_keys"]),
        "unexpected": sorted(info["unexpected_keys"]),
        "of another shape": sorted(str(entry[0]) for entry in info["mismatched_keys"]),
    }
    refuse(folder, faults)
    return model


def weights_file(folder: Path, name: str) -> Path:
    """The safetensors file ``name`` of an adapter's folder or, where that is not, PyTorch's of the same stem."""
    path = folder / name
    other = path.with_suffix(".bin")
    return other if other.is_file() and not path.is_file() else path


def stored_dtype(folder: Path) -> torch.dtype:
    """What a full checkpoint's weights are stored as, by its ``config.json``."""
    try:
        config = read_json(folder / "config.json")
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: no readable config.json") from error
    if not isinstance(config, dict):
        raise UserError(f"{folder / 'config.json'}: not a JSON object; copy it from where the checkpoint came from")
    name = config.get("dtype") or config.get("torch_dtype") or "float32"
    dtype = getattr(torch, str(name).removeprefix("torch."), None)
    if not isinstance(dtype, torch.dtype):
        raise UserError(f"{folder / 'config.json'}: dtype: {name!r} is not known")
    return dtype


def connector_names(model: nn.Module, family: Family) -> set[str]:
    """The names of the connector's parameters."""
    of = {id(parameter) for module in family.connector(model) for parameter in module.parameters()}
    return {name for name, parameter in model.named_parameters() if id(parameter) in of}


def _copy_beside(path: Path, model: nn.Module, family: Family) -> None:
    """Copy what was trained beside an adapter into ``model``: the whole connector at least."""
    tensors = {family.own_name(name): tensor for name, tensor in read_tensors(path).items()}
    own = dict(model.named_parameters())
    wanted = connector_names(model, family) | (tensors.keys() & own.keys())
    check_tensors(path, tensors, {name: own[name].shape for name in wanted})
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


def _targets(path: Path, asked: Any, weights: Tensors, model: nn.Module, family: Family) -> str | list[str]:
    """The modules that an adapter must have weights for.

    A list of suffixes, as the reference MGM and most of PEFT's users have it, means linears of the language model: the
    vision towers' bear the same names. It means them too if the adapter has weights for any of them.
    """
    if isinstance(asked, str) and asked != "all-linear":
        return asked
    if isinstance(asked, list):
        linears = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
        named = {name for name in linears if any(name == end or name.endswith(f".{end}") for end in asked)}
        language = {name for name in named if re.fullmatch(family.lora_targets, name)}
        found = named if adapted_linears(weights) & (named - language) else language
        if found:
            return sorted(found)
    raise UserError(f"{path}: target_modules: {asked!r} names no linear layer of this model")


def adapted_linears(weights: Tensors) -> set[str]:
    """The model's modules that an adapter's ``weights`` belong to."""
    return {name.removeprefix(_PREFIX).partition(".lora_")[0] for name in weights if ".lora_" in name}


def _lora_fields(path: Path) -> dict[str, Any]:
    """The fields of an ``adapter_config.json`` that this PEFT knows."""
    try:
        fields = read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not a readable adapter config") from error
    if not isinstance(fields, dict):
        raise UserError(f"{path}: must be a JSON object, but is a {type(fields).__name__}; copy the adapter again")
    if fields.get("peft_type", "LORA") != "LORA":
        raise UserError(f"{path}: peft_type: {fields['peft_type']!r} is not supported, only 'LORA'")
    known = LoraConfig.__dataclass_fields__.keys() - {"base_model_name_or_path", "auto_mapping"}
    # every weight is read from the file, so how they once were initialised does not matter; some ways are costly
    return {key: of for key, of in fields.items() if key in known and of is not None} | {"init_lora_weights": True}
