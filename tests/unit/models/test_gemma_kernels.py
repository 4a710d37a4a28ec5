"""Gemma's kernels against transformers' modules: on a GPU, or in Triton's interpreter where there is none."""

import pytest
import torch
from kernel_runs import DEVICE, in_a_process_of_its_own, interpreted, runs_kernels

pytest.importorskip("triton", reason="Triton, which PyTorch's CPU builds lack, is not in this environment")

from transformers.models.gemma.modeling_gemma import GemmaRMSNorm, apply_rotary_pos_emb  # noqa: E402

from syntune.models.mgm import gemma_kernels  # noqa: E402


@in_a_process_of_its_own
def test_in_tritons_interpreter():
    assert "6 passed" in interpreted(__file__)


@runs_kernels
@pytest.mark.parametrize("shape", [(2, 3, 96), (5, 128)])
def test_the_norm_is_gemmas(shape):
    generator = torch.Generator().manual_seed(0)
    norm = GemmaRMSNorm(shape[-1]).to(DEVICE)
    norm.weight.data = torch.randn(shape[-1], generator=generator).to(DEVICE)
    x = (3 * torch.randn(shape, generator=generator)).to(DEVICE)
    torch.testing.assert_close(gemma_kernels.rms_norm(x, norm.weight, norm.eps), norm(x), rtol=1e-5, atol=1e-5)


@runs_kernels
@pytest.mark.parametrize("tanh", [True, False])
def test_gelu_times_up(tanh):
    generator = torch.Generator().manual_seed(1)
    gate, up = (8 * torch.randn(7, 331, generator=generator).to(DEVICE) for _ in range(2))
    gate[0, :3] = torch.tensor([-90.0, 90.0, 0.0])
    wanted = torch.nn.functional.gelu(gate, approximate="tanh" if tanh else "none") * up
    torch.testing.assert_close(gemma_kernels.geglu(gate, up, tanh), wanted, rtol=1e-4, atol=1e-4)


@runs_kernels
@pytest.mark.parametrize("rows_of_angles", [1, 3])
def test_queries_and_keys_are_turned_as_gemmas(rows_of_angles):
    generator = torch.Generator().manual_seed(2)
    query, key = (torch.randn(3, 5, heads, 32, generator=generator).to(DEVICE) for heads in (4, 1))
    angles = torch.randn(rows_of_angles, 5, 16, generator=generator).repeat(1, 1, 2).to(DEVICE)
    wanted = apply_rotary_pos_emb(query, key, angles.cos(), angles.sin(), unsqueeze_dim=2)
    found = [gemma_kernels.rotate(states.clone(), angles.cos(), angles.sin()) for states in (query, key)]
    torch.testing.assert_close(found, list(wanted), rtol=1e-5, atol=1e-5)
