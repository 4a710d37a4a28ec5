import pytest
import torch
from torch import nn
from torch.nn import functional

from syntune.models.cross_entropy import IGNORED, summed_cross_entropy


def batch(dtype=torch.float32, supervised=0.5):
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(3, 17, 8, generator=generator).to(dtype).requires_grad_()
    labels = torch.randint(0, 101, (3, 17), generator=generator)
    labels[torch.rand(3, 17, generator=generator) >= supervised] = IGNORED
    head = nn.Linear(8, 101, bias=False).to(dtype)
    nn.init.normal_(head.weight, generator=generator)
    return hidden, labels, head


def plain(hidden, labels, head):
    logits = head(hidden).float() if hidden.dtype == torch.bfloat16 else head(hidden)
    return functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="sum")


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_equals_the_plain_computation_with_gradients(frozen, chunk):
    hidden, labels, head = batch()
    head.requires_grad_(not frozen)
    inputs = [hidden] if frozen else [hidden, head.weight]
    found, wanted = summed_cross_entropy(hidden, labels, head, chunk * 101), plain(hidden, labels, head)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(
        torch.autograd.grad(found / 7, inputs), torch.autograd.grad(wanted / 7, inputs), rtol=1e-5, atol=1e-6
    )


def test_bfloat16_is_within_its_noise():
    hidden, labels, head = batch(torch.bfloat16)
    found, wanted = summed_cross_entropy(hidden, labels, head), plain(hidden, labels, head)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=0)
    found, wanted = (torch.autograd.grad(loss, hidden)[0].float() for loss in (found, wanted))
    assert (found - wanted).norm() / wanted.norm() < 0.01


def test_under_autocast_the_loss_stays_precise():
    hidden, labels, head = batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = summed_cross_entropy(hidden, labels, head)
    torch.testing.assert_close(found, plain(hidden, labels, head))


def test_nothing_supervised_is_zero_with_zero_gradients():
    hidden, labels, head = batch(supervised=0)
    loss = summed_cross_entropy(hidden, labels, head)
    loss.backward()
    assert loss == 0
    assert not hidden.grad.any()


def test_the_whole_of_the_logits_never_exists(monkeypatch):
    sizes = []
    logsumexp = torch.Tensor.logsumexp
    monkeypatch.setattr(torch.Tensor, "logsumexp", lambda t, *a, **k: sizes.append(t.numel()) or logsumexp(t, *a, **k))
    hidden, labels, head = batch()
    summed_cross_entropy(hidden, labels, head, logits_at_once=404)
    assert max(sizes) == 404
