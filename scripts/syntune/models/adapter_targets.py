"""Which modules an adapter is on, or is not."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel
from peft.tuners.tuners_utils import check_target_module_exists
from torch import nn

from syntune.errors import UserError
from syntune.models.family import Family
from syntune.models.weights import Tensors

PEFT_PREFIX = "base_model.model."
"""What PEFT puts before a module's name."""

_TIED = "embedding and output layer in one (tie_word_embeddings)"

_CHOOSING = ("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save")
"""The keys of an ``adapter_config.json`` that say which modules it means."""


def resolve_targets(
    path: Path, fields: dict[str, Any], weights: Tensors, model: nn.Module, family: Family
) -> dict[str, Any]:
    """An adapter's config with ``target_modules`` that name exactly the modules that it must have weights for.

    A list of suffixes, as the reference MGM and most of PEFT's users have it, is not meant for vision towers and the
    connector, whose linears bear the same names, unless the adapter has weights for any of those.

    Args:
        path: the ``adapter_config.json``.
        fields: its content.
        weights: the adapter's.
        model: the model that it is for.
        family: the model's.

    Raises:
        UserError: the config names no module of the model, or one that cannot be merged.
    """
    for name in sorted(adapted_modules(weights) & tied_modules(model)):
        raise UserError(
            f"{path}: target_modules: {name} is {_TIED}, so an adapter on it cannot be merged; train one without it"
        )
    asked = fields.get("target_modules")
    if isinstance(asked, str) and asked != "all-linear" or not asked and fields.get("target_parameters"):
        return fields
    found: set[str] = set()
    if isinstance(asked, list):
        choice = LoraConfig(**{key: fields[key] for key in _CHOOSING if key in fields})
        adaptable = {name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Embedding)}
        found = {name for name in adaptable if check_target_module_exists(choice, name)}
        names = {module: name for name, module in model.named_modules()}
        for parts in (family.towers(model), family.connector(model)):
            inside = {names[module] for part in parts for module in part.modules()}
            if not adapted_modules(weights) & inside:
                found -= inside
    if not found:
        raise UserError(f"{path}: target_modules: {asked!r} names no linear layer of this model")
    named = {"target_modules": sorted(found), "layers_to_transform": None, "layers_pattern": None}
    return {key: value for key, value in (fields | named).items() if value is not None}


def adapted_modules(weights: Tensors) -> set[str]:
    """The model's modules that an adapter's ``weights`` belong to."""
    return {name.removeprefix(PEFT_PREFIX).partition(".lora_")[0] for name in weights if ".lora_" in name}


def tied_modules(model: nn.Module) -> set[str]:
    """The names of embedding and output layer, where they are one: merged into one, an adapter would change both."""
    embedding, output = model.get_input_embeddings(), model.get_output_embeddings()
    if output is None or embedding.weight is not output.weight:
        return set()
    return {name for name, module in model.named_modules() if module in (embedding, output)}


def refuse_outside(adapted: PeftModel, family: Family) -> None:
    """Check the modules that an adapter to be trained is on.

    Raises:
        UserError: one is in a vision tower or in the connector, or could not be merged.
    """
    model = adapted.get_base_model()
    tied = tied_modules(model)
    towers, connector = (
        {module for part in parts for module in part.modules()}
        for parts in (family.towers(model), family.connector(model))
    )
    for name, module in model.named_modules():
        if not hasattr(module, "lora_A"):
            continue
        where = "in a vision tower" if module in towers else "in the connector" if module in connector else None
        if where or name in tied:
            raise UserError(f"lora.targets: {name} is {where or _TIED}; name linears of the language model alone")


def without_adapter(adapted: PeftModel, family: Family) -> dict[str, int]:
    """The language model's matrices that no adapter is on, and how many parameters they have.

    Their names have ``*`` for the layers' numbers. Embeddings and the output layer do not count.
    """
    model = adapted.get_base_model()
    others = [
        *family.towers(model),
        *family.connector(model),
        model.get_input_embeddings(),
        model.get_output_embeddings(),
    ]
    known = {id(parameter) for part in others if part is not None for parameter in part.parameters()}
    sizes: Counter[str] = Counter()
    for name, parameter in model.named_parameters():
        if id(parameter) not in known and parameter.ndim > 1 and not re.search(r"\.(base_layer|lora_\w+)\.", name):
            sizes[re.sub(r"\.\d+(?=\.)", ".*", name)] += parameter.numel()
    return dict(sizes)
