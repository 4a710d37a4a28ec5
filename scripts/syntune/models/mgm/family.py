"""MGM as training and prediction see it."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from syntune.models.adapter_targets import PEFT_PREFIX
from syntune.models.attention import choose_attention
from syntune.models.family import Generated, Row
from syntune.models.full_checkpoints import load_full
from syntune.models.margins import watch_choices
from syntune.models.mgm.assembly import Assembly, write_assembly
from syntune.models.mgm.compiled_towers import speed_up_towers
from syntune.models.mgm.continuation import Continuation
from syntune.models.mgm.modeling_mgm import LORA_TARGETS, MgmForConditionalGeneration
from syntune.models.mgm.packing import pack_in_training
from syntune.models.mgm.prefix import PrefixEncoder, after_image
from syntune.models.mgm.processing_mgm import MgmProcessor
from syntune.models.mgm.reference_checkpoints import read_reference_config
from syntune.models.mgm.reference_names import from_reference_name, to_reference_name


class MgmFamily:
    """MGM on Gemma."""

    name = "mgm"
    lora_targets = LORA_TARGETS
    kept_on_cpu = ("input_ids", "attention_mask", "labels")
    records_towers = True
    packs_rows = True
    peft_loads = False

    def __init__(self) -> None:
        self._encoder: PrefixEncoder | None = None
        self._continuation: Continuation | None = None

    def load_model(self, folder: Path, dtype: torch.dtype) -> MgmForConditionalGeneration:
        """The model of a full checkpoint, every tensor accounted for."""
        return load_full(MgmForConditionalGeneration, folder, dtype)

    def load_processor(self, folder: Path) -> MgmProcessor:
        """The processor beside a full checkpoint."""
        return MgmProcessor.from_pretrained(folder)

    def write_full(
        self, model: MgmForConditionalGeneration, processor: MgmProcessor, folder: Path, origin: Path
    ) -> None:
        """Write a full checkpoint in the model's own type; sizes of images are the config's, not the processor's."""
        assembly = Assembly(model.config, model.state_dict(), processor.tokenizer, origin)
        write_assembly(assembly, folder, model.dtype)

    def connector(self, model: MgmForConditionalGeneration) -> list[nn.Module]:
        """Mining and projector."""
        return list(model.vision_connector)

    def towers(self, model: MgmForConditionalGeneration) -> list[nn.Module]:
        """CLIP and ConvNeXt."""
        return list(model.vision_towers)

    def saved_name(self, name: str) -> str:
        """The reference's name, as its LoRA checkpoints have it."""
        return PEFT_PREFIX + to_reference_name(name)

    def own_name(self, saved: str) -> str:
        """The inverse of :meth:`saved_name`."""
        return from_reference_name(saved.removeprefix(PEFT_PREFIX))

    def needs_connector(self, folder: Path) -> bool:
        """Whether the reference's script wrote it, whose next stage takes the connector from there."""
        return read_reference_config(folder) is not None

    def use_attention(self, model: Any, attention: str, device: torch.device, dtype: torch.dtype) -> str:
        """Pack the rows of a batch into one sequence, with the attention asked for."""
        chosen = choose_attention(attention, device, dtype)
        pack_in_training(model, chosen)
        return chosen.name

    def compile_vision(self, model: MgmForConditionalGeneration) -> None:
        """Compile and record the towers."""
        speed_up_towers(model)

    def encode_without_images(self, model: MgmForConditionalGeneration, ranks: int) -> None:
        """Set :attr:`MgmForConditionalGeneration.encodes_without_images`."""
        model.encodes_without_images = True

    def without_dropout(self, model: nn.Module) -> None:
        """As for answering, but rows are packed and no logits are kept: what is left in training has no dropout."""
        model.eval()
        for module in model.modules():
            if isinstance(module, MgmForConditionalGeneration):
                for part in (module, *module.vision_connector):
                    part.training = True

    def training_loss(self, model: nn.Module, batch: Row, supervised: int) -> torch.Tensor:
        """The model's own loss: the whole of the logits never exists."""
        return model(**batch, num_items_in_batch=supervised).loss

    def encode_images(self, model: MgmForConditionalGeneration, rows: list[Row]) -> list[torch.Tensor | None]:
        """What prompts about each row's image share: their prefix's keys and values, [layers, 2, tokens, heads, size].

        Only prompts about one image share it; others get None.
        """
        if any(len(row["images"]) != 1 for row in rows):
            return [None] * len(rows)
        if self._encoder is None or self._encoder.model is not model:
            self._encoder = PrefixEncoder(model)
        return self._encoder.encode(rows)

    def generate(
        self,
        model: MgmForConditionalGeneration,
        processor: MgmProcessor,
        rows: list[Row],
        features: list[torch.Tensor | None],
        max_new_tokens: int,
        at_once: int,
    ) -> list[Generated]:
        """Greedy answers to prompts. On a GPU, those to prompts about one image depend on no other prompt."""
        if any(prefix is None for prefix in features):
            batch = {name: tensor.to(model.device) for name, tensor in processor.collate(rows, "left").items()}
            with watch_choices(model) as choices:
                new = model.generate(**batch, max_new_tokens=max_new_tokens, do_sample=False).tolist()
            answers = [_until_end(model, ids) for ids in new]
            near_ties = choices.near_ties(answers)
        else:
            kept = self._continuation
            if kept is None or kept.model is not model or kept.rows != at_once:
                self._continuation = Continuation(model, at_once)
            new, near_ties = self._continuation.answer(features, list(map(after_image, rows)), max_new_tokens)
            answers = [_until_end(model, ids) for ids in new]
        return [Generated(*answer) for answer in zip(answers, near_ties, strict=True)]


def _until_end(model: MgmForConditionalGeneration, ids: list[int]) -> list[int]:
    """``ids`` up to and without the end token."""
    end = model.config.text_config.eos_token_id
    return ids[: ids.index(end)] if end in ids else ids
