"""Prompts about one image share its keys and values, and answer as they would without."""

import pytest
import torch

from syntune.models.checkpoints import load_chain
from syntune.models.mgm import continuation, prefix
from syntune.models.mgm.continuation import Continuation
from syntune.models.mgm.prefix import PrefixEncoder, after_image
from syntune.prediction.plan import by_image, hash_images


class Replayed:
    """A recording without a GPU: the shapes are the recorded ones, and outputs lie where they lay before."""

    def __init__(self, function, *inputs, beside=None):
        self.function, self.inputs = function, inputs
        self.outputs = function(*inputs)

    def replay(self, *given):
        for own, values in zip(self.inputs, given, strict=bool(given)):
            assert own.shape == values.shape
            own.copy_(values)
        for own, values in zip(self.outputs, self.function(*self.inputs), strict=True):
            own.copy_(values)
        return self.outputs


@pytest.fixture
def loaded(checkpoints):
    return load_chain(checkpoints, torch.float32)


def encoded(loaded, protocol):
    """The rows of all questions, and each one's prefix."""
    encoder, rows, prefixes = PrefixEncoder(loaded.model), [], []
    for group in by_image(hash_images(protocol.questions())):
        image = group[0].question.open_image(10**6)
        of_group = [loaded.processor.encode_prompt(asked.question.prompt, [image]) for asked in group]
        prefixes += encoder.encode(of_group[:1]) * len(group)
        rows += of_group
    return rows, prefixes


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """A continuation that works in a GPU's fixed shapes, prompts in parts of eight tokens."""
    monkeypatch.setattr(continuation, "Recording", Replayed)
    monkeypatch.setattr(continuation, "_PROMPT_TOKENS", 8)
    monkeypatch.setattr(continuation, "_SLOTS", 16)

    def make(model, rows):
        made = Continuation(model, rows)
        made._on_gpu = True
        return made

    return make


@pytest.mark.parametrize("fixed", [False, True])
def test_answers_with_a_shared_prefix_are_the_plain_ones(loaded, textvqa, fixed, as_on_a_gpu):
    rows, prefixes = encoded(loaded, textvqa)
    assert len({len(row["input_ids"]) for row in rows}) > 3
    batch = loaded.processor.collate(rows, "left")
    plain = loaded.model.generate(**batch, max_new_tokens=12, do_sample=False).tolist()
    continuing = as_on_a_gpu(loaded.model, 14) if fixed else Continuation(loaded.model, 14)
    for _ in range(2):  # what the first batch leaves in the slots, the second does not see
        shared, _ = continuing.answer(prefixes, list(map(after_image, rows)), 12)
        assert shared == [ids[: len(shared[0])] for ids in plain]
    assert len(set(map(tuple, plain))) > 3


def test_in_fixed_shapes_a_row_depends_on_no_other_one_in_bfloat16(checkpoints, textvqa, as_on_a_gpu):
    loaded = load_chain(checkpoints, torch.bfloat16)
    rows, prefixes = encoded(loaded, textvqa)
    rests = list(map(after_image, rows))
    continuing = as_on_a_gpu(loaded.model, 11)
    together, near_ties = continuing.answer(prefixes, rests, 12)
    assert len(set(map(tuple, together))) > 3
    for order in ([3], [10, 0, 5], [7, 3, 8, 2, 1, 9]):
        some, of_some = continuing.answer([prefixes[row] for row in order], [rests[row] for row in order], 12)
        assert some == [together[row] for row in order]
        assert of_some == [near_ties[row] for row in order]


@pytest.mark.parametrize("fixed", [False, True])
def test_prefixes_are_the_same_one_by_one(loaded, textvqa, fixed, monkeypatch):
    monkeypatch.setattr(prefix, "Recording", Replayed)
    monkeypatch.setattr(prefix, "_IMAGES_AT_ONCE", 3)
    questions = {question.image: question for question in textvqa.questions()}.values()
    rows = [loaded.processor.encode_prompt(each.prompt, [each.open_image(10**6)]) for each in questions]
    encoder = PrefixEncoder(loaded.model)
    encoder._on_gpu = fixed
    together = encoder.encode(rows)
    assert len(together) == len(rows) == 5
    config = loaded.model.config
    tokens = int((rows[0]["input_ids"] == -200).nonzero()) + config.tokens_per_image
    text = config.text_config
    assert together[0].shape == (text.num_hidden_layers, 2, tokens, text.num_key_value_heads, text.head_dim)
    for row, found in zip(rows, together, strict=True):
        torch.testing.assert_close(PrefixEncoder(loaded.model).encode([row])[0], found, rtol=1e-4, atol=1e-4)
