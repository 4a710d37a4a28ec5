"""Any other vision-language model as training and prediction see it."""

import inspect
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import GenerationConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from syntune.errors import UserError, one_line
from syntune.models.adapter_targets import PEFT_PREFIX
from syntune.models.cross_entropy import IGNORED
from syntune.models.family import Generated, Row
from syntune.models.full_checkpoints import load_full
from syntune.models.hf.loading import load_config
from syntune.models.hf.processing import HfProcessor
from syntune.models.margins import watch_choices

_ATTENTIONS = {"auto": None, "sdpa": "sdpa", "eager": "eager", "flash-attn": "flash_attention_2"}
"""The setting's names, and transformers'."""


class HfFamily:
    """What ``AutoModelForImageTextToText`` and ``AutoProcessor`` load, told apart by structure and never by name."""

    name = "hf"
    kept_on_cpu = ()
    records_towers = False
    packs_rows = False
    peft_loads = True

    def __init__(self, folder: Path) -> None:
        """Find the model class of a checkpoint.

        Raises:
            UserError: it is not a model that reads images and text and writes text.
        """
        self._folder = folder
        self._config = load_config(folder)
        if type(self._config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            raise UserError(
                f"{folder}: model_type {self._config.model_type!r} is not a model that transformers loads for images "
                "and text to text"
            )
        if self._config.is_encoder_decoder or self._config.get_text_config().is_encoder_decoder:
            raise UserError(f"{folder}: {self._config.model_type} has an encoder for text; only decoders are supported")
        self._class: type[PreTrainedModel] = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(self._config)]

    @cached_property
    def lora_targets(self) -> str:
        """Regular expression for PEFT's ``target_modules``: linears of the language model alone."""
        with torch.device("meta"):
            model = self._class(self._config)
        language_model, head = self._language_model(model), model.get_output_embeddings()
        (prefix,) = (name for name, module in model.named_modules() if module is language_model)
        linears = {
            name.rpartition(".")[2]
            for name, module in language_model.named_modules()
            if isinstance(module, nn.Linear) and module is not head
        }
        return rf"{re.escape(prefix)}\.(.*\.)?({'|'.join(sorted(linears))})"

    def load_model(self, folder: Path, dtype: torch.dtype) -> PreTrainedModel:
        """The model of a full checkpoint, every tensor accounted for."""
        return load_full(self._class, folder, dtype)

    def load_processor(self, folder: Path) -> HfProcessor:
        """The processor beside a full checkpoint."""
        return HfProcessor(folder, load_config(folder))

    def write_full(self, model: PreTrainedModel, processor: HfProcessor, folder: Path, origin: Path) -> None:
        """Write a full checkpoint in the model's own type."""
        model.save_pretrained(folder)
        processor.save_pretrained(folder)

    def connector(self, model: nn.Module) -> list[nn.Module]:
        """The multi-modal projector: what is neither tower nor language model, or the merger inside a tower."""
        tower, language_model = self._tower(model), self._language_model(model)
        known = [tower, language_model, model.get_input_embeddings(), model.get_output_embeddings()]
        return [*_mergers(tower), *_beside(model, [module for module in known if module is not None])]

    def towers(self, model: nn.Module) -> list[nn.Module]:
        """The vision tower, without a merger that is the connector."""
        tower = self._tower(model)
        mergers = _mergers(tower)
        return [child for child in tower.children() if child not in mergers] if mergers else [tower]

    def saved_name(self, name: str) -> str:
        """PEFT's name."""
        return PEFT_PREFIX + name

    def own_name(self, saved: str) -> str:
        """The inverse of :meth:`saved_name`."""
        return saved.removeprefix(PEFT_PREFIX)

    def needs_connector(self, folder: Path) -> bool:
        """No: whoever trains such a model may leave its connector as it is."""
        return False

    def use_attention(self, model: PreTrainedModel, attention: str, device: torch.device, dtype: torch.dtype) -> str:
        """Choose among transformers' own; "auto" leaves the model's. Rows are padded, not packed.

        Raises:
            UserError: the model, or this environment, has no such attention.
        """
        if attention not in _ATTENTIONS:
            choices = ", ".join(_ATTENTIONS)
            raise UserError(f"attention: {attention!r} needs packed rows, which this model has not; take {choices}")
        try:
            if _ATTENTIONS[attention]:
                model.set_attn_implementation(_ATTENTIONS[attention])
        except (ValueError, ImportError) as error:
            raise UserError(f"attention: {attention!r}: {one_line(error)}") from error
        return model.config.get_text_config()._attn_implementation

    def compile_vision(self, model: Any) -> None:
        """Nothing: the vision parts of these models differ too much."""

    def encode_without_images(self, model: Any, ranks: int) -> None:
        """Only see to it that the layers' input needs a gradient.

        Raises:
            UserError: several GPUs are to share the parameters.
        """
        if ranks > 1:
            raise UserError("zero: several GPUs under DeepSpeed are for family mgm; leave zero out, or take one GPU")
        model.enable_input_require_grads()

    def without_dropout(self, model: nn.Module) -> None:
        """As for answering."""
        model.eval()

    def training_loss(self, model: nn.Module, batch: Row, supervised: int | torch.Tensor) -> torch.Tensor:
        """Cross-entropy summed over the batch's supervised tokens, divided by ``supervised``, those of the whole step.

        The model is called once and as a whole, so it may be wrapped (PEFT, DDP, DeepSpeed). It makes logits for
        supervised positions only, where it can.
        """
        batch = dict(batch)
        labels = batch["labels"]
        if "logits_to_keep" not in inspect.signature(self._class.forward).parameters:
            return model(**batch, num_items_in_batch=supervised).loss
        del batch["labels"]
        targets = functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
        kept = targets != IGNORED
        logits = model(**batch, logits_to_keep=kept, use_cache=False).logits
        return functional.cross_entropy(logits.float(), targets[kept], reduction="sum") / supervised

    def encode_images(self, model: nn.Module, rows: list[Row]) -> list[torch.Tensor | None]:
        """Nothing to keep: models differ too much in what their features are."""
        return [None] * len(rows)

    def generate(
        self,
        model: Any,
        processor: HfProcessor,
        rows: list[Row],
        features: list[torch.Tensor | None],
        max_new_tokens: int,
        at_once: int,
    ) -> list[Generated]:
        """Greedy answers to prompts; rounding depends on which prompts they are."""
        batch = processor.collate(rows, padding_side="left")
        # a checkpoint's own generation config may sample or punish repetition: neither belongs in a benchmark
        greedy = GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            num_beams=1,
            repetition_penalty=1.0,
            no_repeat_ngram_size=0,
            eos_token_id=processor.end_ids,
            pad_token_id=processor.pad_id,
        )
        with torch.inference_mode(), watch_choices(model) as choices:
            ids = model.generate(
                **{name: tensor.to(model.device) for name, tensor in batch.items()}, generation_config=greedy
            )
        new = ids[:, batch["input_ids"].shape[1] :].tolist()
        answers = [_until(answer, set(processor.end_ids)) for answer in new]
        return [Generated(*answer) for answer in zip(answers, choices.near_ties(answers), strict=True)]

    def _language_model(self, model: nn.Module) -> nn.Module:
        """The model's language model."""
        found = model.get_decoder()
        if found in (model, model.base_model):
            raise UserError(f"{self._folder}: {self._class.__name__} does not tell which part is its language model")
        return found

    def _tower(self, model: nn.Module) -> nn.Module:
        """The model's vision tower."""
        found = model.get_encoder(modality="image")
        if found in (model, model.base_model):
            raise UserError(f"{self._folder}: {self._class.__name__} does not tell which part is its vision tower")
        return found


def _mergers(tower: nn.Module) -> list[nn.Module]:
    """The modules of a tower that join it to the language model; Qwen's models have theirs there."""
    return [child for name, child in tower.named_children() if "merger" in name]


def _beside(module: nn.Module, known: list[nn.Module]) -> list[nn.Module]:
    """The largest modules with parameters under ``module`` that hold none of ``known`` and are held by none."""
    found = []
    for child in module.children():
        if child in known:
            continue
        if any(part in known for part in child.modules()):
            found += _beside(child, known)
        elif any(True for _ in child.parameters()):
            found.append(child)
    return found


def _until(ids: list[int], ends: set[int]) -> list[int]:
    """``ids`` before the first of ``ends``."""
    return next((ids[:index] for index, token in enumerate(ids) if token in ends), ids)
