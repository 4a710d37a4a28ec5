import copy
import os
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from tiny_gemma import ATTENTION, LENGTHS, MLP, adapted
from torch import nn

from syntune.models import dropout as seeded
from syntune.models.attention import packed_arguments, row_bounds
from syntune.models.eight_bits.linear import hold_in_eight_bits
from syntune.training.gemma import attention_block as block_module
from syntune.training.gemma import geglu
from syntune.training.gemma.fuse import fuse_adapters
from syntune.training.gemma.narrow_sides import narrow_sides

ON_GPU = torch.cuda.is_available()
runs_kernels = pytest.mark.skipif(
    not (ON_GPU or os.environ.get("TRITON_INTERPRET") == "1"),
    reason="needs a GPU, or the package triton and TRITON_INTERPRET=1",
)


def run(model):
    """Outputs and gradients of the adapters and of the input."""
    dtype = next(model.parameters()).dtype
    inputs = torch.randn(1, int(LENGTHS.sum()), 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    inputs = inputs.to(dtype).requires_grad_()
    places = torch.cat([torch.arange(length) for length in LENGTHS])[None]
    arguments = packed_arguments(row_bounds(LENGTHS), int(LENGTHS.max()))
    output = model(inputs_embeds=inputs, position_ids=places, use_cache=False, **arguments)[0]
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    gradients = torch.autograd.grad(output.sin().sum(), [inputs, *trained.values()])
    return {"output": output, **dict(zip(["inputs", *trained], gradients, strict=True))}


def agree(found, wanted, tolerance):
    assert found.keys() == wanted.keys()
    for name, tensor in found.items():
        error = ((tensor - wanted[name]).norm() / wanted[name].norm().clamp(min=1e-30)).item()
        assert error <= tolerance, (name, error)


class Masked(nn.Module):
    """PEFT's dropout with the masks that the fused layer makes."""

    def __init__(self, seed, probability):
        super().__init__()
        self.seed, self.probability = seed, probability

    def forward(self, x):
        return seeded.dropped(x.flatten(0, -2), self.seed, self.probability).view(x.shape)


def with_the_same_masks(model, monkeypatch, probability):
    """A copy of a PEFT model with known masks, which the fused one is made to draw, layer by layer."""
    seeds = seeded.draw_seeds(14, torch.device("cpu")).view(2, 7, 2)
    queue = list(seeds)
    monkeypatch.setattr(seeded, "draw_seeds", lambda count, device: queue.pop(0))
    twin = copy.deepcopy(model)
    for layer, row in zip(twin.base_model.model.layers, seeds, strict=True):
        linears = [getattr(layer.self_attn, name) for name in ATTENTION] + [getattr(layer.mlp, name) for name in MLP]
        for linear, seed in zip(linears, row, strict=True):
            linear.lora_dropout["default"] = Masked(seed, probability)
    return twin


@pytest.mark.parametrize("act", ["gelu_pytorch_tanh", "gelu"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_fused_mlp_is_exact(monkeypatch, act, dropout):
    model = adapted(dropout, act=act, targets=MLP)
    plain = copy.deepcopy(model).base_model.model.layers[0].mlp
    if dropout:
        seeds = seeded.draw_seeds(3, torch.device("cpu"))
        for name, seed in zip(MLP, seeds, strict=True):
            getattr(plain, name).lora_dropout["default"] = Masked(seed, dropout)
        monkeypatch.setattr(seeded, "draw_seeds", lambda count, device: seeds)
    done = fuse_adapters(model)
    assert (done.mlps, done.attentions) == (2, 0)
    fused = model.base_model.model.layers[0].mlp
    x = torch.randn(2, 7, 32, dtype=torch.float64, requires_grad=True)
    results = []
    for module in (fused, plain):
        output = module(x)
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        results.append([output, *torch.autograd.grad(output.sin().sum(), [x, *trained])])
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_fused_layers_equal_pefts(monkeypatch, dropout, compiled):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    block_module.block_for.cache_clear()
    model = adapted(dropout)
    plain = with_the_same_masks(model, monkeypatch, dropout) if dropout else copy.deepcopy(model)
    names = [name for name, _ in model.named_parameters()]
    done = fuse_adapters(model, compiled=compiled)
    assert (done.mlps, done.attentions, done.left) == (2, 2, ())
    assert [name for name, _ in model.named_parameters()] == names
    agree(run(model), run(plain), 1e-6)  # Gemma's norms round to float32 inside


def test_bfloat16_stays_within_its_noise():
    model = adapted(dtype=torch.bfloat16)
    plain, exact = copy.deepcopy(model), run(copy.deepcopy(model).double())
    fuse_adapters(model, compiled=False)
    of_fused, of_plain = (
        {name: (tensor.double() - exact[name]).norm() / exact[name].norm() for name, tensor in run(which).items()}
        for which in (model, plain)
    )
    for name, error in of_fused.items():
        assert error <= 1.5 * of_plain[name] + 0.005, name


def test_adapters_in_float32_on_a_half_precision_base():
    model = adapted(dtype=torch.bfloat16)
    for name, parameter in model.named_parameters():
        if "lora" in name:
            parameter.data = parameter.data.float()
    plain = copy.deepcopy(model)
    fuse_adapters(model, compiled=False)
    found = run(model)
    assert {tensor.dtype for name, tensor in found.items() if "lora" in name} == {torch.float32}
    agree(found, run(plain), 0.05)


def test_float32_layers_take_autocasts_precision():
    model = adapted(dtype=torch.float32)
    plain = copy.deepcopy(model)
    fuse_adapters(model, compiled=False)
    with torch.autocast("cpu", torch.bfloat16):
        agree(run(model), run(plain), 0.1)


def test_checkpointing_and_another_run_change_no_bit(monkeypatch):
    model = adapted(0.3)
    fuse_adapters(model, compiled=False)
    blocks, block = [], block_module.attention_block

    def counted(*args, **kwargs):
        blocks.append(0)
        return block(*args, **kwargs)

    monkeypatch.setattr(block_module, "attention_block", counted)
    block_module.block_for.cache_clear()
    results = []
    for checkpointing in (False, False, True):
        if checkpointing:
            model.base_model.model.activation_checkpointing_enable({"use_reentrant": False})
        torch.manual_seed(5)
        results.append(run(model))
    block_module.block_for.cache_clear()
    for other in results[1:]:
        assert all(torch.equal(results[0][name], other[name]) for name in results[0])
    assert len(blocks) == 2 + 2 + 4  # the third time each layer is run again for its backward pass


def test_dropout_keeps_no_mask_for_the_backward_pass(monkeypatch):
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager_decomp_partition"))
    block_module.block_for.cache_clear()
    kept = {}
    for dropout in (0.0, 0.3):
        model = adapted(dropout, torch.float32, targets=ATTENTION)
        fuse_adapters(model)
        tensors = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, tensors=tensors: tensors.setdefault(id(tensor), tensor), lambda tensor: tensor
        ):
            run(model)
        kept[dropout] = sum(tensor.nbytes for tensor in tensors.values())
    block_module.block_for.cache_clear()
    assert kept[0.3] < 1.05 * kept[0.0]


def test_evaluation_drops_nothing_and_merged_or_disabled_adapters_take_pefts_way():
    model = adapted(0.3)
    plain = copy.deepcopy(model)
    fuse_adapters(model, compiled=False)
    for both in (model, plain):
        both.eval()
    agree(run(model), run(plain), 1e-6)
    with model.disable_adapter(), plain.disable_adapter():
        ids = torch.arange(1, 9)[None]
        assert torch.equal(model(ids)[0], plain(ids)[0])
    model.merge_adapter()
    plain.merge_adapter()
    assert torch.equal(model(ids)[0], plain(ids)[0])


@pytest.mark.parametrize(
    ("lora", "why"),
    [
        ({"use_dora": True}, "not plain LoRA"),
        ({"rank_pattern": {"up_proj": 8, "k_proj": 8}}, "differ in rank"),
        ({"r": 257}, "rank is over 256"),
        ({"targets": ("gate_proj", "q_proj")}, "not all are plain linears with LoRA"),
        ({"act": "silu"}, "not GELU"),
    ],
)
def test_what_cannot_be_fused_is_left_with_a_reason(lora, why):
    model = adapted(**lora)
    wanted = run(copy.deepcopy(model))
    done = fuse_adapters(model, compiled=False)
    assert done.mlps == 0
    assert any(why in reason for reason in done.left)
    agree(run(model), wanted, 1e-6)


def test_a_second_backward_pass_is_refused():
    model = adapted(targets=MLP)
    fuse_adapters(model)
    x = torch.randn(1, 3, 32, dtype=torch.float64, requires_grad=True)
    loss = model.base_model.model.layers[0].mlp(x).sum()
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="one backward pass only"):
        loss.backward()


def test_masks_are_independent_coins():
    seeds = seeded.draw_seeds(4, torch.device("cpu"))
    masks = torch.stack([seeded.keep_mask((500, 2000), seed, 0.1).flatten().double() for seed in seeds])
    assert torch.allclose(masks.mean(1), torch.tensor(0.9).double(), atol=0.0015)  # five standard errors
    between = torch.corrcoef(masks) - torch.eye(4)
    assert between.abs().max() < 0.005
    for distance in (1, 2, 500, 2000, 4096):
        assert abs(torch.corrcoef(torch.stack([masks[0, distance:], masks[0, :-distance]]))[0, 1]) < 0.005
    kept = seeded.dropped(torch.ones(500, 2000), seeds[0], 0.1)
    assert set(kept.unique().tolist()) == {0.0, torch.tensor(1 / 0.9).item()}


@runs_kernels
@pytest.mark.parametrize("tanh", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("rank", [4, 24, 130])
def test_the_triton_kernels_equal_plain_torch(monkeypatch, rank, dropout, tanh):
    from syntune.training.gemma import mlp_kernels

    dtype, tolerance = (torch.bfloat16, 0.01) if ON_GPU else (torch.float32, 1e-5)
    generator, device = torch.Generator().manual_seed(0), "cuda" if ON_GPU else "cpu"
    wide, narrow = (37, 200), (37, rank)
    shapes = [wide, wide, narrow, narrow, (200, rank), (200, rank), wide, narrow, (rank, 200)]
    tensors = [(0.5 * torch.randn(shape, generator=generator)).to(device, dtype) for shape in shapes]
    gate, up, gate_low, up_low, gate_b, up_b, d, down_low, down_a = tensors
    column_scales = tuple(torch.rand(200, generator=generator).to(device) for _ in range(2))
    seed = seeded.draw_seeds(1, gate.device)[0] if dropout else None
    monkeypatch.setattr(geglu, "is_half_on_gpu", lambda tensor: False)
    doubles = [tensor.double() for tensor in tensors]
    both = [(module, values, geglu.Gated(*values[:6], 2.0, tanh))
            for module, values in ((mlp_kernels, tensors), (geglu, doubles))]  # fmt: skip
    forward = [module.geglu_forward(gated, True) for module, _, gated in both]
    backward = [
        module.geglu_backward_(values[6], gated, *values[7:], seed, dropout, column_scales)
        for module, values, gated in both
    ]
    for (*found, peaks), (*wanted, wanted_peaks) in (forward, backward):
        for one, other in zip(
            [*found, peaks.amax(1), gate, up], [*wanted, wanted_peaks.amax(1), *doubles[:2]], strict=True
        ):
            assert (one.double() - other).norm() / other.norm() < tolerance


@runs_kernels
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize(("count", "rank"), [(1, 24), (2, 130), (3, 1)])
def test_the_kernels_of_narrow_sides_equal_plain_torch(count, rank, dropout):
    from syntune.training.gemma import narrow_kernels

    dtype, tolerance = (torch.bfloat16, 0.01) if ON_GPU else (torch.float32, 1e-5)
    generator, device = torch.Generator().manual_seed(0), "cuda" if ON_GPU else "cpu"
    x, narrow, gradients, dx = (
        torch.randn(shape, generator=generator).to(device, dtype)
        for shape in ((67, 200), (count, rank, 200), (count, 67, rank), (67, 200))
    )
    seeds = seeded.draw_seeds(count, x.device) if dropout else None
    wide, sides, upstream = x.double().requires_grad_(), narrow.double().requires_grad_(), gradients.double()
    low = narrow_sides(wide, sides, seeds, dropout)
    wanted = [low, *torch.autograd.grad(low, (wide, sides), upstream)]
    of_x, of_narrow = narrow_kernels.back_through_sides(gradients, x, narrow, seeds, dropout, None)
    found = [narrow_kernels.narrow_sides(x, narrow, seeds, dropout), of_x, of_narrow]
    found += narrow_kernels.back_through_sides(gradients, x, narrow, seeds, dropout, dx.clone())
    wanted += [wanted[1] + dx.double(), wanted[2]]
    for one, other in zip(found, wanted, strict=True):
        assert (one.double() - other).norm() / other.norm() < tolerance


@pytest.mark.parametrize("precision", ["fp8", "int8"])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_on_a_base_in_8_bits_fused_layers_stay_near_pefts(monkeypatch, dropout, precision):
    model = adapted(dropout, torch.float32)
    plain = with_the_same_masks(model, monkeypatch, dropout) if dropout else copy.deepcopy(model)
    family = SimpleNamespace(towers=lambda model: [], connector=lambda model: [])
    model.base_model.model.get_output_embeddings = lambda: None
    held = hold_in_eight_bits(model, model.base_model.model, family, precision, torch.device("cpu"), worth=18)
    assert len(held) == 6  # gate, up and down, from 32 to 48; not q, k, v and o
    assert fuse_adapters(model, compiled=False).is_whole
    agree(run(model), run(plain), {"fp8": 0.12, "int8": 0.03}[precision])
