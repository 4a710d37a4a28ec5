"""A chain of checkpoints in the reference MGM's layout: as one that stands alone, or its last adapter."""

import re
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from syntune.errors import UserError
from syntune.files import atomic_directory, read_json, write_json
from syntune.models.adapter_targets import adapted_modules
from syntune.models.adapters import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    BESIDE,
    adapter_file,
    apply_adapter,
    connector_names,
    save_beside,
)
from syntune.models.checkpoints import Loaded, load_chain
from syntune.models.full_checkpoints import stored_dtype
from syntune.models.mgm.modeling_mgm import LORA_TARGETS, MgmForConditionalGeneration
from syntune.models.mgm.reference_checkpoints import write_reference, write_reference_config
from syntune.models.weights import Tensors, read_tensors


def export_reference(chain: Sequence[Path], output: Path) -> None:
    """Write the whole chain as one checkpoint that the reference implementation loads.

    Raises:
        UserError: it is no MGM, or a folder is not what its place in the chain asks for.
    """
    dtype = stored_dtype(chain[0])
    loaded = load_chain(chain, dtype)
    model = _require_mgm(loaded, chain[0])
    with atomic_directory(output) as folder:
        write_reference(model, loaded.processor, folder, dtype)


def export_reference_lora(chain: Sequence[Path], output: Path) -> None:
    """Write the chain's last adapter in the reference's LoRA layout; its base is what comes before it.

    Raises:
        UserError: the chain does not end with an adapter, or the adapter does not fit what comes before it.
    """
    *before, adapter = chain
    if not before or not (adapter / ADAPTER_CONFIG).is_file():
        raise UserError(f"{adapter}: is no adapter on a base; give the base before it, or choose another --format")
    loaded = load_chain(before, stored_dtype(before[0]))
    model = _require_mgm(loaded, before[0])
    linears = {name for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    apply_adapter(model, adapter, loaded.family)  # refuses what does not fit
    weights = read_tensors(adapter_file(adapter, ADAPTER_WEIGHTS))
    beside = adapter_file(adapter, BESIDE)
    if beside.is_file():
        trained = {loaded.family.own_name(name): tensor for name, tensor in read_tensors(beside).items()}
    else:
        trained = {name: model.get_parameter(name).detach() for name in connector_names(model, loaded.family)}
    own = {"target_modules": _pattern(weights, linears), "task_type": "CAUSAL_LM", "auto_mapping": None}
    own |= {"layers_to_transform": None, "layers_pattern": None}  # the pattern says it all, and PEFT wants one of them
    fields = {**read_json(adapter / ADAPTER_CONFIG), **own}
    with atomic_directory(output) as folder:
        write_json(folder / ADAPTER_CONFIG, fields)
        save_file(weights, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
        save_beside(folder, trained, loaded.family)
        write_reference_config(model.config, folder)


def _pattern(weights: Tensors, linears: set[str]) -> str:
    """PEFT's ``target_modules`` for exactly the linears that an adapter has weights for.

    Not their last names: the vision towers' linears bear the same, and PEFT would adapt those too.
    """
    adapted = adapted_modules(weights)
    if adapted == {name for name in linears if re.fullmatch(LORA_TARGETS, name)}:
        return LORA_TARGETS
    return "|".join(re.escape(name) for name in sorted(adapted))


def _require_mgm(loaded: Loaded, base: Path) -> MgmForConditionalGeneration:
    """The model, if it is an MGM."""
    if not isinstance(loaded.model, MgmForConditionalGeneration):
        raise UserError(f"{base}: is no MGM, so it has no form in the reference's layout; choose --format merged")
    return loaded.model
