"""Models that score images, or images and texts: CLIP, BLIP and image classifiers, as transformers' own classes.

A scorer's folder is a checkpoint of transformers; its ``config.json`` says what it is. No code beside it is run.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoImageProcessor,
    AutoProcessor,
    BlipForImageTextRetrieval,
    CLIPModel,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

from syntune.errors import UserError, one_line
from syntune.models.aesthetics import AestheticsPredictor
from syntune.models.hf.loading import load_config
from syntune.models.weights import refuse

log = logging.getLogger(__name__)

_BUFFERS = ("position_ids", "num_batches_tracked")
"""Ends of names that older checkpoints hold and newer models make themselves."""


@dataclass(frozen=True)
class Scorer:
    """A scorer ready to score, with its processor.

    Attributes:
        kind: ``clip``, ``blip``, ``classifier`` or ``aesthetics``.
        model: in float32, on its device.
        processor: makes the model's inputs from images and texts.
    """

    kind: str
    model: Any
    processor: Any


def load_scorer(folder: Path, device: torch.device | str = "cpu") -> Scorer:
    """The scorer of a folder, every weight accounted for.

    Raises:
        UserError: it is none that is known, its processor is missing, or a weight is missing or of another shape.
    """
    config = load_config(folder)
    kind, model_class = _kind_of(config, folder)
    loads = AutoProcessor if kind in ("clip", "blip") else AutoImageProcessor
    try:
        processor = loads.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ImportError) as error:
        raise UserError(f"{folder}: its processor cannot be loaded ({one_line(error)})") from error
    return Scorer(kind, _load(model_class, folder).to(device).eval(), processor)


def _kind_of(config: PreTrainedConfig, folder: Path) -> tuple[str, type[PreTrainedModel]]:
    """What a checkpoint can score, by its config."""
    architecture = (config.architectures or ["none"])[0]
    if config.model_type == "clip":
        return "clip", CLIPModel
    if architecture == BlipForImageTextRetrieval.__name__:
        return "blip", BlipForImageTextRetrieval
    if architecture == "AestheticsPredictorV2Linear":
        return "aesthetics", AestheticsPredictor
    if architecture.endswith("ForImageClassification") and type(config) in MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING:
        kind = "aesthetics" if config.num_labels == 1 else "classifier"
        return kind, MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[type(config)]
    raise UserError(
        f"{folder}: {architecture} ({config.model_type}) is no scorer; known are CLIPModel, "
        "BlipForImageTextRetrieval, AestheticsPredictorV2Linear and transformers' classes for image classification"
    )


def _load(model_class: type[PreTrainedModel], folder: Path) -> PreTrainedModel:
    """The model in float32; a tensor that it lacks or that does not fit would be random, so it is refused."""
    try:
        model, info = model_class.from_pretrained(
            folder,
            dtype=torch.float32,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"{folder}: not a checkpoint ({one_line(error)})") from error
    missing = sorted(name for name in info["missing_keys"] if not name.endswith(_BUFFERS))
    refuse(folder, {"missing": missing, "of another shape": sorted(str(key[0]) for key in info["mismatched_keys"])})
    if unused := sorted(name for name in info["unexpected_keys"] if not name.endswith(_BUFFERS)):
        log.warning("%s: %d tensors are not used (first %s)", folder, len(unused), unused[0])
    return model
