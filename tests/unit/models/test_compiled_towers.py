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


def test_features_and_the_connectors_gradients_are_the_same(model):
    def run():
        features = model.get_image_features(*images(model, 3))
        return [features, *torch.autograd.grad(features.sin().sum(), list(model.mm_projector.parameters()))]

    plain = run()
    speed_up_towers(model)
    torch.testing.assert_close(run(), plain, rtol=1e-4, atol=1e-5)


def test_layers_of_a_size_share_one_program(model):
    speed_up_towers(model)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    model.get_image_features(*images(model, 3))
    stages = len(model.config.vision_aux_config.depths)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == stages + 1  # and CLIP's layers


def test_a_trained_tower_is_left_alone(model):
    model.vision_tower.requires_grad_(True)
    speed_up_towers(model)
    assert all("forward" not in vars(module) for module in model.modules())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
@pytest.mark.parametrize("count", [2, 4, 5])
def test_a_recording_sees_what_the_towers_see(model, count, monkeypatch):
    monkeypatch.setattr("syntune.models.mgm.compiled_towers._IMAGES_AT_ONCE", 2)
    model.cuda()
    given = [pixels.cuda() for pixels in images(model, count)]
    wanted = model.get_image_features(*given)
    speed_up_towers(model)
    for _ in range(2):
        torch.testing.assert_close(model.get_image_features(*given), wanted, rtol=2e-3, atol=2e-3)
