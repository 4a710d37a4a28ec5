"""Cross-entropy over a large vocabulary, of which the whole of the logits never exists."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn

from syntune.models.transfer import send

IGNORED = -100
"""The label of a token that is not supervised."""

LOGITS_AT_ONCE = 2**27
"""Logits that exist at a time: on a GPU 512 MiB, with their gradients, in bfloat16."""


def summed_cross_entropy(
    hidden: torch.Tensor, labels: torch.Tensor, head: nn.Linear, logits_at_once: int = LOGITS_AT_ONCE
) -> torch.Tensor:
    """Next-token cross-entropy, summed over the supervised tokens, in float32 at least.

    Logits are made for supervised positions only, some at a time, and once: the gradients are made beside the loss,
    while the logits are there. A frozen head gets none and costs none.

    Args:
        hidden: [rows, tokens, width]; the last hidden state.
        labels: [rows, tokens]; -100 where a token is not supervised. Where rows are packed into one, the first token
            of each must not be. On the CPU they make nobody wait for the GPU.
        head: from width to the vocabulary, without bias.
        logits_at_once: how many logits may exist at a time.

    Returns:
        A scalar; zero, with zero gradients, where nothing is supervised.
    """
    targets = nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED).flatten()
    places = (targets != IGNORED).nonzero().squeeze(1)
    supervised = hidden.flatten(0, 1).index_select(0, send(places, hidden.device))
    chunk = max(1, logits_at_once // head.out_features)
    targets = send(targets.index_select(0, places), hidden.device)
    return _SummedCrossEntropy.apply(supervised, head.weight, targets, chunk)


class _SummedCrossEntropy(torch.autograd.Function):
    """Of hidden [N, width] with weight [V, width] against targets [N], ``chunk`` positions at a time.

    With p = softmax(W h), the gradients of -log p[t] are W'(p - e_t) for h and (p - e_t) h' for W.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, chunk: int) -> Any:
        """The sum, and the gradients for a sum whose own gradient is one."""
        precise = torch.promote_types(hidden.dtype, torch.float32)
        hidden_needs, weight_needs, *_ = ctx.needs_input_grad
        loss = torch.zeros((), device=hidden.device, dtype=precise)
        hidden_gradient = torch.empty_like(hidden) if hidden_needs else None
        weight_gradient = torch.zeros_like(weight, dtype=precise) if weight_needs else None
        with torch.autocast(hidden.device.type, enabled=False):
            for start in range(0, len(hidden), chunk):
                part = slice(start, start + chunk)
                some, target = hidden[part], targets[part, None]
                losses_and_slopes = _compiled() if hidden.is_cuda else _losses_and_slopes
                losses, slopes = losses_and_slopes(some @ weight.t().to(some.dtype), target, precise)
                loss += losses.sum()
                if hidden_needs:
                    torch.mm(slopes, weight.to(some.dtype), out=hidden_gradient[part])
                if weight_needs:
                    weight_gradient += slopes.t() @ some
        ctx.save_for_backward(hidden_gradient, weight_gradient)
        ctx.weight_dtype = weight.dtype
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple:
        """Scale the gradients made in the forward pass."""
        hidden, weight = ctx.saved_tensors
        return (
            None if hidden is None else (hidden * upstream).to(hidden.dtype),
            None if weight is None else (weight * upstream).to(ctx.weight_dtype),
            None,
            None,
        )


def _losses_and_slopes(
    logits: torch.Tensor, targets: torch.Tensor, precise: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy of logits [N, V] against targets [N, 1], [N, 1] in ``precise``, and its gradient, [N, V]."""
    values = logits.to(precise)
    log_sums = values.logsumexp(-1, keepdim=True)
    is_target = torch.arange(logits.shape[1], device=logits.device) == targets
    return log_sums - values.gather(1, targets), ((values - log_sums).exp() - is_target.to(precise)).to(logits.dtype)


@cache
def _compiled() -> Callable[..., tuple[torch.Tensor, torch.Tensor]]:
    """The same in two kernels, which keep nothing in float32."""
    return torch.compile(_losses_and_slopes, dynamic=True)
