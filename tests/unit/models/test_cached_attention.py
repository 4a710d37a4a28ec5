"""Attention of new tokens to a cache: what it computes, and what it does not depend on."""

import pytest
import torch

from syntune.models.cached_attention import attention_to_cache, flash_reads_caches

ON_GPU = torch.cuda.is_available()
DEVICE = "cuda" if ON_GPU else "cpu"
DTYPE = torch.bfloat16 if ON_GPU else torch.float64
TOLERANCE = {"rtol": 2e-2, "atol": 2e-2} if ON_GPU else {}


def states(rows, tokens, slots, key_heads):
    """Queries, keys and values as large as a trained model's, whose scores reach 30 and more."""
    generator = torch.Generator().manual_seed(0)
    shapes = (rows, tokens, 8, 64), (rows, slots, key_heads, 64), (rows, slots, key_heads, 64)
    query, keys, values = (torch.randn(shape, generator=generator) for shape in shapes)
    return [tensor.to(DEVICE, DTYPE) for tensor in (query * 4, keys, values)]


@pytest.mark.parametrize("tokens", [1, 5])
@pytest.mark.parametrize("key_heads", [1, 2])
def test_a_token_sees_its_row_up_to_itself(tokens, key_heads):
    query, keys, values = states(3, tokens, 40, key_heads)
    starts = torch.tensor([0, 12, 35], device=DEVICE)
    found = attention_to_cache(starts, tokens, 40, 8 // key_heads, DTYPE)(query, keys, values)
    assert found.shape == query.shape
    for row, start in enumerate(starts.tolist()):
        for token in range(tokens):
            seen = start + token + 1
            for head in range(8):
                shared = head * key_heads // 8
                scores = keys[row, :seen, shared].double() @ query[row, token, head].double() / 8
                wanted = scores.softmax(0) @ values[row, :seen, shared].double()
                torch.testing.assert_close(found[row, token, head].double(), wanted, **TOLERANCE)


@pytest.mark.skipif(not ON_GPU, reason="elsewhere the number of slots may change the rounding")
@pytest.mark.parametrize("tokens", [1, 32])
def test_on_a_gpu_neither_other_rows_nor_more_slots_change_a_bit(tokens):
    assert flash_reads_caches(DTYPE)
    query, keys, values = states(128, tokens, 1024, 1)
    starts = torch.arange(128, device=DEVICE) * 4 + 30
    found = attention_to_cache(starts, tokens, 640, 8, DTYPE)(query, keys[:, :640], values[:, :640])
    assert torch.equal(attention_to_cache(starts, tokens, 1024, 8, DTYPE)(query, keys, values), found)
    order = torch.randperm(128, device=DEVICE)
    others = [tensor[order] for tensor in (query, keys, values)]
    assert torch.equal(attention_to_cache(starts[order], tokens, 1024, 8, DTYPE)(*others), found[order])
