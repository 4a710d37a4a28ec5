"""Prompts about one image share its keys and values, and answer as they would without."""

import pytest
import torch

from syntune.models.checkpoints import load_chain
from syntune.models.mgm.prefix import encode_prefixes, generate_after
from syntune.prediction.plan import by_image, hash_images


@pytest.fixture
def loaded(checkpoints):
    return load_chain(checkpoints, torch.float32)


def test_answers_with_a_shared_prefix_are_the_plain_ones(loaded, textvqa):
    model, processor = loaded.model, loaded.processor
    rows, prefixes = [], []
    for group in by_image(hash_images(textvqa.questions())):
        image = group[0].question.open_image(10**6)
        of_group = [processor.encode_prompt(asked.question.prompt, [image]) for asked in group]
        prefixes += encode_prefixes(model, of_group[:1]) * len(group)
        rows += of_group
    assert len({len(row["input_ids"]) for row in rows}) > 3  # padded on the left, after the prefix
    plain = model.generate(**processor.collate(rows, "left"), max_new_tokens=6, do_sample=False)
    shared = generate_after(model, rows, prefixes, max_new_tokens=6)
    assert shared.tolist() == plain.tolist()
    assert len(set(map(tuple, plain.tolist()))) > 3


def test_prefixes_are_the_same_one_by_one(loaded, textvqa):
    questions = {question.image: question for question in textvqa.questions()}.values()
    rows = [loaded.processor.encode_prompt(each.prompt, [each.open_image(10**6)]) for each in questions]
    together = encode_prefixes(loaded.model, rows)
    config = loaded.model.config
    tokens = int((rows[0]["input_ids"] == -200).nonzero()) + config.tokens_per_image
    text = config.text_config
    assert together[0].shape == (text.num_hidden_layers, 2, text.num_key_value_heads, tokens, text.head_dim)
    for row, prefix in zip(rows, together, strict=True):
        torch.testing.assert_close(encode_prefixes(loaded.model, [row])[0], prefix, rtol=1e-4, atol=1e-4)
