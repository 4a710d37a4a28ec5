"""Checkpoints in the reference implementation's layout: read whatever they lack, write what it can load."""

import json
import re
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from syntune.errors import UserError
from syntune.files import read_json, write_json
from syntune.models.mgm.assembly import Assembly, without_output
from syntune.models.mgm.configuration_mgm import MgmConfig
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.parts import (
    CLIP,
    CONVNEXT,
    convnext_config,
    mgm_config,
    read_clip,
    read_clip_config,
    read_convnext,
)
from syntune.models.mgm.processing_mgm import MgmProcessor
from syntune.models.mgm.reference_names import from_reference_names, to_reference_names
from syntune.models.mgm.tokenizer import SPECIAL_NAMES, TURN_TOKENS, read_tokenizer
from syntune.models.weights import read_weights, write_weights

MODEL_TYPE = "mgm_gemma"


def read_reference_config(folder: Path) -> dict[str, Any] | None:
    """The ``config.json`` of a folder if it is the reference MGM's, else None."""
    try:
        config = read_json(folder / "config.json")
    except (OSError, json.JSONDecodeError):
        return None
    return config if config.get("model_type") == MODEL_TYPE else None


def assemble_reference(folder: Path, vision_tower: Path | None, vision_tower_aux: Path | None) -> Assembly:
    """A reference checkpoint: config, weights and tokenizer.

    Args:
        folder: the checkpoint.
        vision_tower: CLIP's folder; its sizes count, and its weights where the checkpoint has none.
        vision_tower_aux: OpenCLIP's ConvNeXt, where the checkpoint has none.

    Raises:
        UserError: a tower is nowhere, a tensor has no place, or the variant is not supported.
    """
    tensors = from_reference_names(read_weights(folder), folder)
    for prefix, key, path, read in (
        (CLIP, "vision_tower", vision_tower, read_clip),
        (CONVNEXT, "vision_tower_aux", vision_tower_aux, read_convnext),
    ):
        if not any(name.startswith(prefix) for name in tensors):
            if path is None:
                raise UserError(f"{folder}: holds no {key}: say with {key} where it is")
            tensors |= read(path)
    config = mgm_config(
        folder,
        read_json(folder / "config.json"),
        read_clip_config(vision_tower) if vision_tower else None,
        convnext_config(tensors, folder),
    )
    return Assembly(config, tensors, read_tokenizer(folder), folder)


def adopt_reference_config(model: PreTrainedModel, adapter: Path) -> None:
    """Give a model the config of a reference LoRA folder: the same sizes, its own ways with images.

    Args:
        model: with the adapter merged into it; its config is replaced.
        adapter: the folder; nothing happens where its ``config.json`` is not the reference's.

    Raises:
        UserError: the sizes differ: the adapter is for another base.
    """
    reference = read_reference_config(adapter)
    if reference is None:
        return
    config = model.config
    towers = config.vision_config.to_dict(), config.vision_aux_config.to_dict()
    adopted = mgm_config(adapter, reference, *towers)
    for key in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_key_value_heads"):
        asked, own = getattr(adopted.text_config, key), getattr(config.text_config, key)
        if asked != own:
            raise UserError(
                f"{adapter / 'config.json'}: {key}: {asked}, but the base's is {own}: it is for another base"
            )
    model.config = adopted


def write_reference(
    model: MgmForConditionalGeneration, processor: MgmProcessor, folder: Path, dtype: torch.dtype
) -> None:
    """Write a checkpoint that the reference loads.

    It takes a checkpoint's index for granted, and the vision parts from the weight files that hold some of them: they
    share one.
    """
    write_reference_config(model.config, folder)
    tensors = to_reference_names(without_output(model.state_dict(), folder))
    vision = [name for name in tensors if re.match(r"model\.(vision_|vlm_uni_|mm_projector)", name)]
    write_weights(folder, tensors, dtype, together=vision, always_index=True)
    _write_tokenizer(processor, folder)


def write_reference_config(config: MgmConfig, folder: Path) -> None:
    """Write ``config.json``. The towers are taken from the checkpoint, though the reference opens their paths first."""
    write_json(folder / "config.json", {**config.to_reference(), "optimize_vision_tower_aux": True})


def _write_tokenizer(processor: MgmProcessor, folder: Path) -> None:
    """Write the tokenizer as the reference's versions of transformers and tokenizers read it."""
    processor.tokenizer.save_pretrained(folder)
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    merges = content["model"].get("merges", [])
    if merges and isinstance(merges[0], list):  # pairs came with tokenizers 0.20
        if any(" " in piece for pair in merges for piece in pair):
            raise UserError("tokenizer: a token holds a space, which the reference's tokenizers cannot read")
        content["model"]["merges"] = [" ".join(pair) for pair in merges]
    file.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {
            **SPECIAL_NAMES,
            "add_bos_token": True,
            "add_eos_token": False,
            "additional_special_tokens": TURN_TOKENS,
            "model_max_length": processor.max_length,
            "padding_side": "right",
            "tokenizer_class": "GemmaTokenizer",
        },
    )
