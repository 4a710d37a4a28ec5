import pytest
import torch
from transformers import GemmaConfig, GemmaModel

from syntune.errors import UserError
from syntune.models import attention
from syntune.models.attention import KERNELS, choose_attention, packed_arguments, row_bounds

LENGTHS = torch.tensor([5, 1, 9])


@pytest.fixture(scope="module")
def gemma():
    torch.manual_seed(0)
    config = GemmaConfig(
        vocab_size=50, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=1, head_dim=8, pad_token_id=0,
    )  # fmt: skip
    return GemmaModel(config).eval()


def packed(model, name, ids):
    model.set_attn_implementation(choose_attention(name, "cpu", torch.float32).implementation)
    places = torch.cat([torch.arange(length) for length in LENGTHS])[None]
    arguments = packed_arguments(row_bounds(LENGTHS), int(LENGTHS.max()))
    return model(inputs_embeds=model.embed_tokens(ids), position_ids=places, use_cache=False, **arguments)[0][0]


@pytest.mark.parametrize("name", ["sdpa", "eager"])
def test_packed_rows_are_as_if_alone(gemma, name):
    ids = torch.randint(1, 50, (1, int(LENGTHS.sum())), generator=torch.Generator().manual_seed(1))
    together = packed(gemma, name, ids)
    gemma.set_attn_implementation("eager")
    alone = torch.cat([gemma(row)[0][0] for row in ids.split(LENGTHS.tolist(), 1)])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_batch_takes_transformers_own_way(gemma, side):
    ids = torch.randint(1, 50, (2, 6), generator=torch.Generator().manual_seed(1))
    mask = torch.ones(2, 6, dtype=torch.long)
    mask[0, :2] = 0
    mask = mask if side == "left" else mask.flip(1)
    gemma.set_attn_implementation("eager")
    wanted = gemma(ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(0))[0][mask.bool()]
    gemma.set_attn_implementation(choose_attention("sdpa", "cpu", torch.float32).implementation)
    found = gemma(ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(0))[0][mask.bool()]
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)


def test_a_cache_takes_transformers_own_way(gemma):
    ids = torch.randint(1, 50, (1, 8), generator=torch.Generator().manual_seed(1))
    gemma.set_attn_implementation(choose_attention("sdpa", "cpu", torch.float32).implementation)
    first = gemma(ids[:, :3], use_cache=True)
    rest = gemma(ids[:, 3:], past_key_values=first.past_key_values)[0]
    torch.testing.assert_close(rest, gemma(ids)[0][:, 3:], rtol=1e-5, atol=1e-6)


def test_auto_on_a_cpu_is_sdpa_and_says_why_not_the_others():
    assert choose_attention("auto", "cpu", torch.float32).name == "sdpa"
    assert "needs a GPU" in attention.flaw_of("torch-varlen", "cpu", torch.float32)


def test_a_kernel_that_is_wrong_is_not_chosen(monkeypatch):
    monkeypatch.setitem(KERNELS, "sdpa", lambda query, *rest: query * 1.0 + rest[0].mean() + rest[1].mean())
    attention.flaw_of.cache_clear()
    try:
        assert choose_attention("auto", "cpu", torch.float32).name == "eager"
        with pytest.raises(UserError, match="sdpa does not work here .it differs from eager"):
            choose_attention("sdpa", "cpu", torch.float32)
    finally:
        attention.flaw_of.cache_clear()


def test_what_cannot_be_had_is_refused():
    with pytest.raises(UserError, match="unknown; choose auto, flash-attn, torch-varlen, sdpa, eager"):
        choose_attention("flash", "cpu", torch.float32)
    with pytest.raises(UserError, match="torch-varlen does not work here .needs a GPU"):
        choose_attention("torch-varlen", "cpu", torch.bfloat16)


def test_packed_rows_come_as_one_sequence(gemma):
    gemma.set_attn_implementation("packed_sdpa")
    with pytest.raises(ValueError, match="one sequence"):
        gemma(torch.ones(2, 5, dtype=torch.long), **packed_arguments(row_bounds(torch.tensor([5])), 5))
