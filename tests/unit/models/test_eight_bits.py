"""Products with a frozen base in 8 bits, against exact ones; the kernels in Triton's interpreter or on a GPU."""

from types import SimpleNamespace

import pytest
import torch
from kernel_runs import ON_GPU, runs_kernels
from peft import LoraConfig, get_peft_model
from torch import nn

from syntune.errors import UserError
from syntune.models.eight_bits import linear as module
from syntune.models.eight_bits.linear import EightBitLinear, hold_in_eight_bits
from syntune.models.eight_bits.rows import project
from syntune.models.eight_bits.weights import DTYPES, EightBitWeight

DEVICE = torch.device("cuda" if ON_GPU else "cpu")
RELATIVE = {"fp8": 2**-4, "int8": 1 / 254}
"""The largest error of rounding: of a number's own size in FP8, of its row's largest in INT8."""


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


@pytest.mark.parametrize("precision", DTYPES)
def test_rows_are_rounded_to_8_bits_each_by_its_own_scale(precision):
    x = random(7, 48) * torch.logspace(-6, 6, 7, device=DEVICE)[:, None]
    x[3] = 0
    column_scale = torch.rand(48, device=DEVICE) + 0.5
    wide = torch.zeros(7, 100, dtype=DTYPES[precision], device=DEVICE)
    _, rows = project(x, values=wide[:, 40:88], column_scale=column_scale)
    assert not wide[:, :40].float().any() and not wide[:, 88:].float().any()
    scaled = x * column_scale
    size = scaled.abs() if precision == "fp8" else scaled.abs().amax(1, keepdim=True)
    error = (rows.values.float() * rows.scale - scaled).abs()
    assert (error <= 1.01 * RELATIVE[precision] * size + scaled.abs().amax(1, keepdim=True) * 2e-6).all()
    assert not rows.values[3].float().any()


@pytest.mark.parametrize("precision", DTYPES)
def test_a_linear_and_its_gradient_are_those_of_one_rounded_weight(precision):
    exact = nn.Linear(64, 96).to(DEVICE)
    exact.weight.data *= torch.logspace(-2, 2, 96, device=DEVICE)[:, None]  # channels of any size are rounded as well
    rounded = EightBitLinear(exact, DTYPES[precision], DEVICE)
    whole = nn.Linear(64, 96).to(DEVICE)
    whole.weight.data = rounded.weight.rows.values.float() * rounded.weight.rows.scale
    whole.bias = exact.bias
    x = random(2, 5, 64).requires_grad_()
    results = []
    for linear in (rounded, whole, exact):
        y = linear(x)
        results.append((y, torch.autograd.grad(y, x, random(*y.shape, seed=1))[0]))
    for found, of_rounded, wanted in zip(*results, strict=True):
        for other in (of_rounded, wanted):
            assert (found - other).norm() / other.norm() < {"fp8": 0.05, "int8": 0.02}[precision]
    assert not list(rounded.weight.__dict__.keys() & {"grad"})
    assert [name for name, _ in rounded.named_parameters()] == ["bias"]


class Model(nn.Module):
    """A wide MLP with an adapter, and what must stay as it is."""

    def __init__(self, wide=64, deep=128):
        super().__init__()
        self.wide, self.narrow = nn.Linear(wide, deep), nn.Linear(deep, 8)
        self.tower, self.connector, self.head = nn.Linear(64, 64), nn.Linear(64, 64), nn.Linear(64, 64)

    def get_output_embeddings(self):
        return self.head


FAMILY = SimpleNamespace(towers=lambda model: [model.tower], connector=lambda model: [model.connector])


def held(model, worth=40, precision="fp8"):
    model.requires_grad_(False)
    adapted = get_peft_model(model, LoraConfig(target_modules=["wide", "narrow"]))
    return adapted, hold_in_eight_bits(adapted, model, FAMILY, precision, DEVICE, worth)


def test_wide_frozen_linears_of_the_language_model_alone_are_held():
    adapted, names = held(Model().to(DEVICE))
    assert names == ["base_model.model.wide.base_layer"]
    inner = adapted.base_model.model
    assert type(inner.wide.base_layer) is EightBitLinear
    x = random(3, 64)
    assert inner.wide(x).shape == (3, 128)  # through PEFT, adapter and all
    for other in (inner.narrow.base_layer, inner.tower, inner.connector, inner.head):
        assert type(other) is nn.Linear


def test_what_cannot_be_held_is_refused_in_one_line(monkeypatch):
    with pytest.raises(UserError, match="no linear of this model is wide enough to gain from int8; take bf16"):
        held(Model().to(DEVICE), worth=1e9, precision="int8")
    with pytest.raises(UserError, match=r"multiples of 16, and .*wide.* goes from 60 to 128; take bf16"):
        held(Model(wide=60).to(DEVICE))
    module.flaw_of.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 6))
    gpu = torch.device("cuda")
    with pytest.raises(
        UserError, match=r"fp8 does not work here \(it needs compute capability 8.9, and this GPU has 8.6"
    ):
        hold_in_eight_bits(Model(), Model(), FAMILY, "fp8", gpu)
    module.flaw_of.cache_clear()


@runs_kernels
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [None, torch.float8_e4m3fn, torch.int8])
def test_the_triton_kernels_equal_plain_torch(monkeypatch, dtype, dropout):
    from syntune.models import dropout as seeded
    from syntune.models.eight_bits import kernels, rows

    half = torch.bfloat16 if ON_GPU else torch.float32
    x, narrow, column_scale = random(37, 200).to(half), random(4, 200, seed=1).to(half), random(200, seed=2).abs()
    seed = seeded.draw_seeds(1, DEVICE)[0] if dropout else None
    room = [None if dtype is None else torch.zeros(37, 200, dtype=dtype, device=DEVICE) for _ in range(2)]
    limit = 0.0 if dtype is None else rows.LIMITS[dtype]
    for scale in (None, column_scale):
        low, row_scale = kernels.project(x, narrow, seed, dropout, room[0], limit, scale, None)
        monkeypatch.setattr(rows, "is_half_on_gpu", lambda tensor: False)
        wanted_low, wanted = project(x, narrow, seed, dropout, room[1], scale)
        assert (low - wanted_low).norm() / wanted_low.norm() < (0.01 if ON_GPU else 1e-5)
        if dtype is None:
            continue
        torch.testing.assert_close(row_scale, wanted.scale)
        # the interpreter rounds to FP8 in its own way where that carries over into the exponent
        assert (room[0].float() != room[1].float()).float().mean() < (0.001 if ON_GPU else 0.04)


@runs_kernels
def test_the_products_kernels_equal_plain_torch():
    from syntune.models.eight_bits import kernels

    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randint(-127, 128, (size, 80), dtype=torch.int8, generator=generator).to(DEVICE) for size in (37, 48))
    a_scale, b_scale = torch.rand(37, 1, device=DEVICE), torch.rand(48, device=DEVICE)
    wanted = (a.double() @ b.double().t()) * a_scale * b_scale
    found = kernels.int8_product(a, b, a_scale, b_scale, torch.float32)
    torch.testing.assert_close(found.double(), wanted, rtol=1e-5, atol=1e-3)
    room = torch.zeros(80, 100, dtype=torch.int8, device=DEVICE)
    kernels.transposed_into(a, room[:, 10:47])
    assert torch.equal(room[:, 10:47], a.t())
    assert not room[:, :10].any() and not room[:, 47:].any()


def test_a_weight_keeps_a_byte_for_each_number():
    weight = EightBitWeight(random(96, 64), torch.int8)
    assert (weight.rows.values.nbytes, weight.numel(), weight.requires_grad) == (96 * 64, 96 * 64, False)
