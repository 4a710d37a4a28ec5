"""What holds of the model beyond its numbers: batches, memory, checkpoints and refusals."""

import subprocess
import sys

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoModelForImageTextToText

from syntune.errors import UserError
from syntune.models.mgm.configuration_mgm import MgmConfig
from syntune.models.mgm.expansion import expand_images
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.tiny import tiny_config


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MgmForConditionalGeneration(tiny_config(300, hidden_size=32, num_hidden_layers=2)).eval()


def prompts(generator):
    """Eight prompts of different lengths with none, one and two images: ids, images, images_aux."""
    rows = []
    for index in range(8):
        count = index % 3
        ids = torch.randint(10, 300, (7 + 3 * index,), generator=generator)
        ids[1 : 1 + count] = -200
        sizes = (count, 3, 64, 64), (count, 3, 128, 128)
        rows.append((ids, *(torch.randn(size, generator=generator) for size in sizes)))
    return rows


def stack(rows, side):
    ids = [row[0] for row in rows]
    mask = pad_sequence([torch.ones_like(row) for row in ids], True, 0, side)
    images, images_aux = (torch.cat([row[index] for row in rows]) for index in (1, 2))
    ids = pad_sequence(ids, True, 0, side)
    return {"input_ids": ids, "attention_mask": mask, "images": images, "images_aux": images_aux}


def test_answers_do_not_depend_on_the_batch(model):
    with torch.no_grad():  # larger weights, so that the answers vary from token to token
        for parameter in model.model.layers.parameters():
            parameter.mul_(20)
    rows = prompts(torch.Generator().manual_seed(1))
    alone = [model.generate(**stack([row], "left"), max_new_tokens=10, eos_token_id=None)[0] for row in rows]
    assert len({tuple(answer.tolist()) for answer in alone}) == 8
    assert max(len(set(answer.tolist())) for answer in alone) > 3
    for side in ("left", "right"):
        together = model.generate(**stack(rows, side), max_new_tokens=10, eos_token_id=None)
        assert torch.equal(together, torch.stack(alone))


def test_generation_ends_at_eos_and_pads_on_the_right(model):
    rows = prompts(torch.Generator().manual_seed(1))[:2]
    answers = model.generate(**stack(rows, "left"), max_new_tokens=6, eos_token_id=None).tolist()
    end = answers[0][1]
    cut = model.generate(**stack(rows, "left"), max_new_tokens=6, eos_token_id=end)
    assert cut[0].tolist()[: answers[0].index(end) + 1] == answers[0][: answers[0].index(end) + 1]
    assert not cut[0, answers[0].index(end) + 1 :].any()


def test_kept_image_features_stand_for_images(model):
    inputs = stack(prompts(torch.Generator().manual_seed(2)), "right")
    images, images_aux = inputs.pop("images"), inputs.pop("images_aux")
    with torch.no_grad():
        wanted = model(**inputs, images=images, images_aux=images_aux).logits
        one_by_one = [
            model.get_image_features(*pair) for pair in zip(images.split(1), images_aux.split(1), strict=True)
        ]
        found = model(**inputs, image_features=torch.cat(one_by_one)).logits
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


def test_training_makes_no_logits_and_the_same_loss(model):
    inputs = stack(prompts(torch.Generator().manual_seed(3)), "right")
    labels = inputs["input_ids"].masked_fill(inputs["input_ids"] < 60, -100)
    evaluated, trained = model(**inputs, labels=labels), model.train()(**inputs, labels=labels)
    assert trained.logits is None
    assert trained.past_key_values is None
    assert evaluated.logits.shape[-1] == 300
    assert trained.loss.item() == evaluated.loss.item()
    supervised = int((labels[:, 1:] != -100).sum())
    shared = model(**inputs, labels=labels, num_items_in_batch=torch.tensor(3 * supervised))
    assert shared.loss.item() == pytest.approx(trained.loss.item() / 3)


def test_nothing_supervised_is_no_loss_and_no_gradient(model):
    inputs = stack(prompts(torch.Generator().manual_seed(3)), "right")
    loss = model.train()(**inputs, labels=torch.full_like(inputs["input_ids"], -100)).loss
    loss.backward()
    assert loss.item() == 0
    assert not any(parameter.grad.any() for parameter in model.parameters() if parameter.grad is not None)


def test_frozen_towers_keep_nothing_and_stay_in_evaluation_mode(model):
    inputs = stack(prompts(torch.Generator().manual_seed(3)), "right")
    for tower in model.vision_towers:
        tower.requires_grad_(False)
    model.train()
    assert not any(module.training for tower in model.vision_towers for module in tower.modules())
    assert model.model.training
    patches, aux_stages = model.encode_images(inputs["images"], inputs["images_aux"])
    assert not any(features.requires_grad for features in (patches, *aux_stages))
    model.vision_tower_aux.requires_grad_(True)
    assert model.train().vision_tower_aux.training
    patches, aux_stages = model.encode_images(inputs["images"], inputs["images_aux"])
    assert not patches.requires_grad
    assert all(features.requires_grad for features in aux_stages)


def test_recomputed_activations_give_the_same_gradients(model):
    inputs = stack(prompts(torch.Generator().manual_seed(3)), "right")
    inputs["labels"] = inputs["input_ids"].masked_fill(inputs["input_ids"] < 60, -100)
    gradients = []
    for _ in range(2):
        model.train().zero_grad()
        model(**inputs).loss.backward()
        gradients.append(model.mm_projector[0].weight.grad.clone())
        model.activation_checkpointing_enable()
    assert torch.equal(*gradients)


def test_images_and_places_must_agree(model):
    inputs = stack(prompts(torch.Generator().manual_seed(3)), "right")
    with pytest.raises(ValueError, match="places for 7 images, but 6 are given"):
        model(**{**inputs, "images": inputs["images"][:6], "images_aux": inputs["images_aux"][:6]})


def test_expansion_cuts_rows_after_expanding_them():
    ids = torch.tensor([[5, -200, 6, -200, 7], [0, 0, 8, -200, 9]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [0, 0, 1, 1, 1]])
    expanded = expand_images(ids, mask, ids, tokens_per_image=3, max_length=6, padding_side="left")
    assert expanded.input_ids.tolist() == [[5, 0, 0, 0, 6, 0], [0, 8, 0, 0, 0, 9]]
    assert expanded.attention_mask.tolist() == [[True] * 6, [False] + [True] * 5]
    assert expanded.feature_rows.tolist() == [[-1, 0, 1, 2, -1, 3], [-1, -1, 6, 7, 8, -1]]
    assert expanded.labels.tolist() == [[5, -100, -100, -100, 6, -100], [-100, 8, -100, -100, -100, 9]]


def test_checkpoint_is_read_by_the_auto_classes(model, tmp_path):
    model.save_pretrained(tmp_path)
    again = AutoModelForImageTextToText.from_pretrained(tmp_path)
    assert isinstance(again, MgmForConditionalGeneration)
    assert AutoConfig.from_pretrained(tmp_path).to_reference() == model.config.to_reference()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_config_of_the_reference_goes_both_ways():
    config = MgmConfig(erf_gelu=True, image_aspect_ratio="square", tokenizer_model_max_length=1024)
    assert MgmConfig.from_reference(config.to_reference()).to_dict() == config.to_dict()
    for change, message in (
        ({"image_grid": 2}, "image_grid: 2 is not supported"),
        ({"model_type": "mgm_llama"}, "model_type"),
        ({"image_aspect_ratio": "anyres"}, "only 'pad' and 'square'"),
        ({"mm_hidden_size": 768}, "mm_hidden_size: 768 contradicts"),
    ):
        with pytest.raises(UserError, match=message):
            MgmConfig.from_reference({**config.to_reference(), **change})
    with pytest.raises(ValueError, match="not a multiple of the patch grid"):
        MgmConfig(image_size_aux=760)


def test_torchvision_is_never_imported():
    modules = "syntune.models.mgm.modeling_mgm, syntune.models.mgm.processing_mgm"
    code = f"import sys, {modules}; print('torchvision' in sys.modules)"
    path = next(folder for folder in sys.path if folder.endswith("scripts"))
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": path}, check=True
    )
    assert run.stdout.strip() == "False"
