"""What a method trains: which parameters, and what is written of them."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn

from syntune.errors import UserError
from syntune.models.adapter_targets import refuse_outside, without_adapter
from syntune.models.adapters import save_adapter, save_beside
from syntune.models.family import Family
from syntune.settings.methods import METHODS
from syntune.settings.runs import TrainedRunSettings

log = logging.getLogger("train")


@dataclass(frozen=True)
class Parameters:
    """Numbers of parameters; where the base is quantised, as before that."""

    total: int
    trainable: int
    lora: int
    beside_lora: int


def adapt(model: Any, family: Family, settings: TrainedRunSettings, start: str) -> nn.Module:
    """Freeze and thaw as the method says, and attach the adapter.

    Trained parameters are float32, whatever the rest is: small updates would be lost in bfloat16.

    Args:
        model: a full model of ``family``; changed in place.
        family: its family.
        settings: the run's.
        start: what ``adapter_config.json`` calls the base.

    Returns:
        The model, wrapped by PEFT where the method trains an adapter.

    Raises:
        UserError: lora.targets names no linear, or one outside the language model, or one that could not be merged.
    """
    model.requires_grad_(False)
    connector = [parameter for module in family.connector(model) for parameter in module.parameters()]
    writes = METHODS[settings.method].writes
    if writes == "model":
        model.requires_grad_(True)
        for tower in family.towers(model):
            tower.requires_grad_(settings.train_vision)
    elif writes == "connector":
        for parameter in connector:
            parameter.requires_grad_(True)
    else:
        model = _attach_adapter(model, family, settings, start)
        for parameter in connector if settings.lora.train_connector else []:
            parameter.requires_grad_(True)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return model


def _attach_adapter(model: Any, family: Family, settings: TrainedRunSettings, start: str) -> PeftModel:
    """Wrap the model in PEFT."""
    config = LoraConfig(
        r=settings.lora.r,
        lora_alpha=settings.lora.alpha,
        lora_dropout=settings.lora.dropout,
        bias=settings.lora.bias,
        target_modules=settings.lora.targets or family.lora_targets,
        task_type="CAUSAL_LM",
        base_model_name_or_path=start,
    )
    try:
        adapted = get_peft_model(model, config)
    except ValueError as error:
        raise UserError(f"lora.targets: {settings.lora.targets}: {str(error).splitlines()[0]}") from error
    adapted.peft_config["default"].base_model_name_or_path = start
    refuse_outside(adapted, family)
    left = {} if settings.lora.targets else without_adapter(adapted, family)
    for name, size in left.items():
        log.warning("LoRA is on linear layers alone, so %s stays as it is (%s parameters)", name, f"{size:,}")
    return adapted


def count_parameters(model: nn.Module) -> Parameters:
    """How many there are."""
    sizes = [(name, whole_size(parameter), parameter.requires_grad) for name, parameter in model.named_parameters()]
    lora = sum(size for name, size, _ in sizes if ".lora_" in name)
    trainable = sum(size for _, size, trained in sizes if trained)
    return Parameters(sum(size for _, size, _ in sizes) - lora, trainable, lora, trainable - lora if lora else 0)


def whole_size(parameter: nn.Parameter) -> int:
    """Elements, whole under ZeRO-3, unpacked from 4 bits."""
    if hasattr(parameter, "ds_numel"):
        return parameter.ds_numel
    state = getattr(parameter, "quant_state", None)
    return state.shape.numel() if state is not None else parameter.numel()


def write_trained(
    model: nn.Module, family: Family, method: str, tensors: dict[str, torch.Tensor], folder: Path
) -> None:
    """Write what was trained: an adapter and the connector with it, the connector alone, or a whole model.

    Args:
        model: as :func:`adapt` returned it.
        family: its family.
        method: the run's.
        tensors: parameters by the model's names, whole: the trained ones, or all where the method writes a whole model.
        folder: where they go.
    """
    writes = METHODS[method].writes
    if writes == "model":
        model.save_pretrained(folder, state_dict=tensors)
    elif writes == "connector":
        save_beside(folder, tensors, family)
        model.config.save_pretrained(folder)
    else:
        save_adapter(model, tensors, family, folder)
        model.get_base_model().config.save_pretrained(folder)
