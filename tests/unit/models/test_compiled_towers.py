from functools import partial

import pytest
import torch

from syntune.models.mgm.compiled_towers import speed_up_towers
from syntune.models.mgm.modeling_mgm import MgmForConditionalGeneration
from syntune.models.mgm.tiny import tiny_config


@pytest.fixture
def model(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    torch.manual_seed(0)
    model = MgmForConditionalGeneration(tiny_config(503, hidden_size=32, num_hidden_layers=1))
    for tower in model.vision_towers:
        tower.requires_grad_(False)
    return model.train()


def images(model, count):
    generator = torch.Generator().manual_seed(count)
    sides = model.config.vision_config.image_size, model.config.image_size_aux
    return [torch.randn(count, 3, side, side, generator=generator) for side in sides]


def test_features_and_the_connectors_gradients_are_the_same(model, monkeypatch):
    def run(count):
        features = model.get_image_features(*images(model, count))
        return [features, *torch.autograd.grad(features.sin().sum(), list(model.mm_projector.parameters()))]

    monkeypatch.setattr("syntune.models.mgm.compiled_towers._IMAGES_AT_ONCE", 2)
    plain = {count: run(count) for count in (3, 2, 5)}
    speed_up_towers(model)
    for count, wanted in plain.items():
        torch.testing.assert_close(run(count), wanted, rtol=1e-4, atol=1e-5)


def test_layers_of_a_size_share_one_program(model):
    speed_up_towers(model)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for count in (3, 2, 5):
        model.get_image_features(*images(model, count))
    stages = len(model.config.vision_aux_config.depths)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == stages + 1  # and CLIP's layers


def test_any_number_of_images_is_compiled(model, monkeypatch):
    monkeypatch.setattr("syntune.models.mgm.compiled_towers._IMAGES_AT_ONCE", 100)
    speed_up_towers(model)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for count in (3, 16, 1, 20):
        model.get_image_features(*images(model, count))
    assert not torch._dynamo.utils.counters["unimplemented"]  # where a limit that is reached is counted


def test_a_trained_tower_is_left_alone(model):
    model.vision_tower.requires_grad_(True)
    speed_up_towers(model)
    assert all("forward" not in vars(module) for module in model.modules())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
@pytest.mark.parametrize("count", [2, 4, 5])
def test_a_recording_sees_what_the_towers_see(model, count, monkeypatch):
    monkeypatch.setattr("syntune.models.mgm.compiled_towers._IMAGES_RECORDED", 2)
    model.cuda()
    given = [of.cuda() for of in images(model, count)]
    wanted = model.get_image_features(*given)
    speed_up_towers(model, recorded=True)
    for _ in range(2):
        torch.testing.assert_close(model.get_image_features(*given), wanted, rtol=2e-3, atol=2e-3)
