"""The kernels against plain PyTorch: on a GPU, or in Triton's interpreter where there is none."""

import pytest
import torch
from kernel_runs import DEVICE, in_a_process_of_its_own, interpreted, runs_kernels

pytest.importorskip("triton", reason="Triton, which PyTorch's CPU builds lack, is not in this environment")

from syntune.models.mgm import vision_kernels  # noqa: E402
from syntune.models.mgm.mining import mine_in_torch  # noqa: E402


@in_a_process_of_its_own
def test_in_tritons_interpreter():
    assert "4 passed" in interpreted(__file__)


@runs_kernels
@pytest.mark.parametrize("window", [4, 8])
def test_mining_and_its_gradient(window):
    generator = torch.Generator().manual_seed(window)
    channels, grid = (40, 72, 96, 48), 2
    side = grid * window
    stages = [
        (torch.randn(2, count, side >> step, side >> step, generator=generator) + 0.5).to(DEVICE)
        for step, count in enumerate(channels)
    ]
    query = torch.randn(2, grid**2, sum(channels), generator=generator).to(DEVICE).requires_grad_()
    upstream = torch.randn(2, grid**2, sum(channels), generator=generator).to(DEVICE)
    wanted, found = (mine(query, stages, 1e-5) for mine in (mine_in_torch, vision_kernels.mine))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    gradients = [torch.autograd.grad(mined, query, upstream)[0] for mined in (found, wanted)]
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-4)


@runs_kernels
@pytest.mark.parametrize("shape", [(2, 40, 16, 16), (1, 72, 9, 13)])
def test_depthwise_convolution(shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator).to(DEVICE).contiguous(memory_format=torch.channels_last)
    weight, bias = (torch.randn(size, generator=generator).to(DEVICE) for size in ((shape[1], 1, 7, 7), (shape[1],)))
    wanted = torch.nn.functional.conv2d(x, weight, bias, padding=3, groups=shape[1])
    found = vision_kernels.depthwise_7x7(x, weight, bias)
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
