"""A folder with a full model, loaded with every tensor accounted for."""

from pathlib import Path
from typing import TypeVar

import torch
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedModel

from syntune.errors import UserError, one_line
from syntune.files import read_json
from syntune.models.weights import refuse

M = TypeVar("M", bound=PreTrainedModel)


def load_full(model_class: type[M], folder: Path, dtype: torch.dtype) -> M:
    """A full checkpoint into a model of class ``model_class``.

    Raises:
        UserError: a tensor is missing, unexpected or of another shape.
    """
    try:
        model, info = model_class.from_pretrained(
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
