"""A model ready to train, from the folders that a run starts from."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from syntune.models.checkpoints import Loaded, load_chain
from syntune.models.eight_bits.linear import hold_in_eight_bits
from syntune.settings.methods import METHODS
from syntune.settings.runs import TrainedRunSettings
from syntune.training.gemma.fuse import fuse_adapters
from syntune.training.gemma.graphs import record_layers
from syntune.training.methods import Parameters, adapt, count_parameters
from syntune.training.quantized import quantize_language_model
from syntune.training.zero import mark_leaf_modules, prepare_deepspeed

log = logging.getLogger("train")


@dataclass(frozen=True)
class Ready:
    """A model ready to train.

    Attributes:
        model: what is trained: the start's model, wrapped by PEFT where the method trains an adapter.
        start: the start, whose model was changed in place; its family and its processor.
        parameters: how many there are.
        attention: the name of the attention that it uses.
        unpartitioned: vision towers that DeepSpeed must not see while it trains the model.
    """

    model: nn.Module
    start: Loaded
    parameters: Parameters
    attention: str
    unpartitioned: list[nn.Module]


def load_start(folders: Sequence[Path], settings: TrainedRunSettings) -> Loaded:
    """The model that a run starts from, its longest row set to the run's.

    Raises:
        UserError: a folder is not what its place asks for.
    """
    start = load_chain(folders, _dtype(settings))
    own = start.processor.max_length
    if own < settings.max_length:
        log.info("max_length %d is more than the model's %d, which counts", settings.max_length, own)
    start.processor.max_length = min(own, settings.max_length)
    return start


def make_ready(
    start: Loaded, settings: TrainedRunSettings, base_name: str, device: torch.device, ranks: int = 1
) -> Ready:
    """Make a loaded model ready to train. The order of the steps matters; each says why it stands where it does.

    Args:
        start: what :func:`load_start` gave; its model is changed in place.
        settings: the run's.
        base_name: what ``adapter_config.json`` calls the base.
        device: where this process trains.
        ranks: processes that train the run together.

    Raises:
        UserError: the attention or ZeRO is not to be had for this model, or lora.targets does not fit it.
    """
    model, family, method = start.model, start.family, METHODS[settings.method]
    fast = device.type == "cuda" and settings.precision == "bf16"

    # Quantise first: PEFT gives 4-bit linears another kind of adapter, so they must be there when it wraps the model.
    if method.quantized:
        quantize_language_model(model, family, device)

    # Attention before PEFT: the family sets it, and packs rows, on its own model, not on a wrapper of it.
    attention = family.use_attention(model, settings.attention, device, _dtype(settings))

    # Activation checkpointing before PEFT: PEFT looks whether it is on, and then lets gradients reach the first layer.
    if settings.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})

    # Adapt before anything is compiled: from here on, which parameters are trained, and in which dtype, stays as it is.
    trained = adapt(model, family, settings, base_name)
    parameters = count_parameters(trained)

    # Round the base after adapting and counting, before fusing: only what is frozen, and only once it is known.
    if settings.base_precision != "bf16":
        held = hold_in_eight_bits(trained, model, family, settings.base_precision, device)
        log.info("base_precision %s: %d linears of the language model", settings.base_precision, len(held))

    # Compile after adapting: only a frozen vision tower is compiled.
    if fast:
        family.compile_vision(model)

    # Fuse after adapting: a fused layer takes the place of PEFT's forward and reads PEFT's parameters.
    if fast and method.writes == "adapter":
        fused = fuse_adapters(trained)
        log.info("fused %d MLPs and %d attention blocks; left: %s", fused.mlps, fused.attentions, fused.left or "none")
        if fused.is_whole and not settings.zero:  # ZeRO moves parameters, and a recording holds their addresses
            record_layers(trained)

    # DeepSpeed last: it partitions the parameters, and hooks the layers, that all before have left.
    if settings.zero:
        family.encode_without_images(model, ranks)
        prepare_deepspeed()
        mark_leaf_modules(trained)
    recorded = settings.zero and family.records_towers and not settings.train_vision
    return Ready(trained, start, parameters, attention, family.towers(model) if recorded else [])


def _dtype(settings: TrainedRunSettings) -> torch.dtype:
    """Of the weights that are not trained, and of the forward pass."""
    return torch.bfloat16 if settings.precision == "bf16" else torch.float32
