"""The arithmetic that a run's MFU counts."""

import pytest
import torch

from syntune.training.flops import Flops
from syntune.training.ready import load_start, make_ready


@pytest.mark.parametrize(("method", "passes"), [("lora", 4), ("align", 4), ("full", 6)])
def test_the_output_layer_has_a_gradient_of_its_own_where_it_is_trained(method, passes, job, base):
    settings = job(method=method).settings
    ready = make_ready(load_start([base], settings), settings, "the base", torch.device("cpu"))
    of_the_head = passes * ready.start.model.lm_head.weight.numel()
    assert Flops(ready.model, ready.start.family).rows([0], supervised=3) == 3 * of_the_head
