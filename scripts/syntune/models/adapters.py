"""What was trained on a full model: an adapter, the connector with it, or the connector alone.

An adapter's folder holds PEFT's two files, or PyTorch's in their place, as the reference MGM writes them. A connector
that was trained, too, is in PEFT's file where plain PEFT can load the model, else in a file of its own.
"""

import re
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save_file
from torch import nn

from syntune.errors import UserError, one_line
from syntune.files import read_json
from syntune.models.adapter_targets import PEFT_PREFIX, resolve_targets
from syntune.models.family import Family
from syntune.models.weights import Tensors, check_tensors, read_tensors

ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
BESIDE = "non_lora_trainables.safetensors"
"""What was trained beside the adapter, whole: the connector."""

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth")
_OF_THE_TRAINER = ("training_args.", "optimizer.", "scheduler.", "rng_state", "scaler.")
"""Endings of files of weights; beginnings of those that trainers leave and that are no weights of the model."""


def merge(model: Any, folder: Path, family: Family) -> Any:
    """Merge an adapter, a connector or both into ``model``; every tensor must find its place.

    Raises:
        UserError: a tensor is missing, unexpected, empty or of another shape: the folder is for another base.
    """
    if (folder / ADAPTER_CONFIG).is_file():
        return apply_adapter(model, folder, family).merge_and_unload()
    beside = adapter_file(folder, BESIDE)
    _refuse_unread(folder, [beside])
    _copy_beside(beside, model, family)
    return model


def apply_adapter(model: Any, folder: Path, family: Family) -> PeftModel:
    """Put an adapter and what was trained beside it on ``model``; every tensor must find its place.

    Raises:
        UserError: a tensor is missing, unexpected, empty or of another shape: the adapter is for another base.
    """
    file, beside = adapter_file(folder, ADAPTER_WEIGHTS), adapter_file(folder, BESIDE)
    _refuse_unread(folder, [file, beside])
    weights = read_tensors(file)
    fields = resolve_targets(folder / ADAPTER_CONFIG, _lora_fields(folder / ADAPTER_CONFIG), weights, model, family)
    if beside.is_file():
        _copy_beside(beside, model, family)
    elif family.needs_connector(folder):
        raise UserError(
            f"{folder}: {BESIDE.removesuffix('.safetensors')}.bin is missing: the reference trains the connector "
            "beside its adapter, and without it the base's would answer; copy it from where the adapter came from"
        )
    try:
        adapted = get_peft_model(model, LoraConfig(**fields))
    except (ValueError, TypeError, re.error) as error:  # no rank, no pattern, or one that no module matches
        raise UserError(f"{folder / ADAPTER_CONFIG}: does not fit this model ({one_line(error)})") from error
    saved = get_peft_model_state_dict(adapted, save_embedding_layers=False)  # what PEFT would write of this adapter
    wanted = {name: tensor.shape for name, tensor in saved.items()}
    # and, where an embedding has one, a copy of what it is on
    own = adapted.state_dict()
    copies = {name: own[name].shape for name in weights if name.endswith(".base_layer.weight") and name in own}
    check_tensors(file, weights, wanted | copies)
    set_peft_model_state_dict(adapted, weights)
    return adapted


def save_adapter(model: PeftModel, tensors: Tensors, family: Family, folder: Path) -> None:
    """Write an adapter and, if it was trained, the connector.

    Args:
        model: wrapped by PEFT.
        tensors: what was trained, whole, by the names of ``model``'s parameters.
        family: its family.
        folder: an existing folder.
    """
    base, config = model.get_base_model(), model.peft_config["default"]
    own = {name: name.removeprefix(PEFT_PREFIX) for name in tensors}
    names = connector_names(base, family)
    connector = {own[name]: tensor for name, tensor in tensors.items() if own[name] in names}
    adapter = {name: tensor for name, tensor in tensors.items() if own[name] not in names}
    weights = get_peft_model_state_dict(model, adapter, save_embedding_layers=False)
    if connector and family.peft_loads:
        modules = connector_modules(base, family)
        config.modules_to_save = list(modules)
        whole = {
            f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()
        }
        weights |= {family.saved_name(name): value.contiguous() for name, value in (whole | connector).items()}
    elif connector:
        save_beside(folder, connector, family)
    config.inference_mode = True
    config.save_pretrained(folder)
    save_file(weights, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})


def save_beside(folder: Path, tensors: Tensors, family: Family) -> None:
    """Write what was trained beside an adapter."""
    named = {family.saved_name(name): tensor.contiguous() for name, tensor in tensors.items()}
    save_file(named, folder / BESIDE, metadata={"format": "pt"})


def adapter_file(folder: Path, name: str) -> Path:
    """The safetensors file ``name`` of an adapter's folder or, where that is not, PyTorch's of the same stem."""
    path = folder / name
    other = path.with_suffix(".bin")
    return other if other.is_file() and not path.is_file() else path


def connector_modules(model: nn.Module, family: Family) -> dict[str, nn.Module]:
    """The connector's modules by name, as PEFT's ``modules_to_save`` takes them: not lists, but what is in them."""
    names = {module: name for name, module in model.named_modules()}
    found: dict[str, nn.Module] = {}
    for module in family.connector(model):
        parts = list(module) if isinstance(module, nn.ModuleList) else [module]
        found |= {names[part]: part for part in parts}
    return found


def connector_names(model: nn.Module, family: Family) -> set[str]:
    """The names of the connector's parameters."""
    connector = {id(parameter) for module in family.connector(model) for parameter in module.parameters()}
    return {name for name, parameter in model.named_parameters() if id(parameter) in connector}


def _refuse_unread(folder: Path, read: list[Path]) -> None:
    """Refuse a folder with weights that nothing reads; a pickle beside the safetensors of its name is their copy."""
    stems = {path.stem for path in read}
    for path in sorted(folder.glob("*")):
        if path.suffix in _WEIGHTS and path.stem not in stems and not path.name.startswith(_OF_THE_TRAINER):
            config = "" if (folder / ADAPTER_CONFIG).is_file() else f", as {ADAPTER_CONFIG} is missing"
            raise UserError(
                f"{path}: holds weights that nothing would read{config}; complete the folder, or move it away"
            )


def _copy_beside(path: Path, model: nn.Module, family: Family) -> None:
    """Copy what was trained beside an adapter into ``model``: the whole connector at least."""
    tensors = {family.own_name(name): tensor for name, tensor in read_tensors(path).items()}
    own = dict(model.named_parameters())
    wanted = connector_names(model, family) | (tensors.keys() & own.keys())
    check_tensors(path, tensors, {name: own[name].shape for name in wanted})
    with torch.no_grad():
        for name, tensor in tensors.items():
            own[name].copy_(tensor)


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
    kept = {key: value for key, value in fields.items() if key in known and value is not None}
    return kept | {"init_lora_weights": True}
