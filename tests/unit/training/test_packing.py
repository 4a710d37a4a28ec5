import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model

from syntune.models.attention import choose_attention
from syntune.models.mgm.modeling_mgm import LORA_TARGETS, MgmForConditionalGeneration
from syntune.models.mgm.packing import pack_in_training
from syntune.models.mgm.tiny import tiny_config
from syntune.training.gemma.fuse import fuse_adapters


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = MgmForConditionalGeneration(tiny_config(101, hidden_size=32, num_hidden_layers=2))
    lora = LoraConfig(target_modules=LORA_TARGETS, r=4, modules_to_save=["mm_projector"], init_lora_weights=False)
    return get_peft_model(model, lora).train()


def batch():
    """A row with an image, one of text only, one with two images; padded on the right."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 101, (3, 12), generator=generator)
    mask = torch.arange(12) < torch.tensor([[12], [7], [9]])
    ids[0, 1] = ids[2, 0] = ids[2, 3] = -200
    labels = torch.where(mask & (torch.rand(3, 12, generator=generator) < 0.6) & (ids >= 0), ids, -100)
    labels[1, 0] = ids[1, 0]  # a first token has nothing to be predicted from
    images = [torch.randn(3, 3, side, side, generator=generator) for side in (64, 128)]
    return {
        "input_ids": ids, "attention_mask": mask.long(), "labels": labels, "images": images[0], "images_aux": images[1]
    }  # fmt: skip


@pytest.mark.parametrize("fast", [False, True])
def test_packed_training_equals_padded(model, fast):
    packed = copy.deepcopy(model)
    pack_in_training(packed.base_model.model, choose_attention("auto", "cpu", torch.float32))
    if fast:
        assert fuse_adapters(packed, compiled=False).attentions == 2
    results = []
    for one in (model, packed):
        loss = one(**batch()).loss
        trained = {name: parameter for name, parameter in one.named_parameters() if parameter.requires_grad}
        results.append((loss, torch.autograd.grad(loss, list(trained.values()))))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-6)


def test_evaluation_is_not_packed(model):
    ids = batch()
    model.eval()
    wanted = model(**ids).logits
    pack_in_training(model.base_model.model, choose_attention("auto", "cpu", torch.float32))
    torch.testing.assert_close(model(**ids).logits, wanted)
