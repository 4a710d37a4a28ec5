"""Prompts about one image share what stands before the question: its keys and values are computed once.

A prompt begins with the same few tokens and its images, 576 tokens each; the question after them takes a tenth of that.
"""

import torch
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence
from transformers import DynamicCache, GenerationMixin

from syntune.models.family import Row
from syntune.models.mgm.expansion import IMAGE_TOKEN
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration


@torch.inference_mode()
def encode_prefixes(model: MgmForConditionalGeneration, rows: list[Row]) -> list[torch.Tensor]:
    """Keys and values of each prompt up to its last image, [layers, 2, heads, tokens, head size].

    All prompts have the same number of images, at least one, and images come before anything that differs.
    """
    ids = torch.stack([row["input_ids"][: _prefix_length(row)] for row in rows]).to(model.device)
    images, images_aux = (torch.cat([row[name] for row in rows]).to(model.device) for name in ("images", "images_aux"))
    embeddings, _ = model.merge_inputs(ids, images=images, images_aux=images_aux)
    cache = model.model(inputs_embeds=embeddings, use_cache=True).past_key_values
    layers = [torch.stack((layer.keys, layer.values), dim=1) for layer in cache.layers]
    return list(torch.stack(layers, dim=1))


def generate_after(
    model: MgmForConditionalGeneration, rows: list[Row], prefixes: list[torch.Tensor], max_new_tokens: int
) -> torch.Tensor:
    """Greedy answers [rows, new tokens] to prompts whose prefixes :func:`encode_prefixes` gave."""
    rests = [row["input_ids"][_prefix_length(row) :] for row in rows]
    ids = pad_sequence(rests, batch_first=True, padding_value=0, padding_side="left").to(model.device)
    mask = pad_sequence([torch.ones_like(rest) for rest in rests], batch_first=True, padding_side="left")
    cache = DynamicCache(config=model.config.text_config)
    for number, layer in enumerate(torch.stack(prefixes, dim=1)):
        cache.update(layer[:, 0], layer[:, 1], number)
    before = cache.get_seq_length()
    # the prefix's ids are never looked at: their keys and values are there
    ids, mask = functional.pad(ids, (before, 0)), functional.pad(mask.to(model.device), (before, 0), value=1)
    answers = GenerationMixin.generate(
        model,
        input_ids=ids,
        attention_mask=mask,
        past_key_values=cache,
        max_new_tokens=max_new_tokens,
        do_sample=False,
    )
    return answers[:, ids.shape[1] :]


def _prefix_length(row: Row) -> int:
    """The tokens of a prompt up to its last image."""
    return int((row["input_ids"] == IMAGE_TOKEN).nonzero()[-1]) + 1
