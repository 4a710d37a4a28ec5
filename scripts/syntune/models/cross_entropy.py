"""Cross-entropy over a large vocabulary, of which the whole of the logits never exists."""

from typing import Any

import torch
from torch import nn

IGNORED = -100
"""The label of a token that is not supervised."""

LOGITS_AT_ONCE = 2**27
"""Logits that exist at a time: 512 MiB in float32."""


def summed_cross_entropy(
    hidden: torch.Tensor, labels: torch.Tensor, head: nn.Linear, logits_at_once: int = LOGITS_AT_ONCE
) -> torch.Tensor:
    """Next-token cross-entropy, summed over the supervised tokens, in float32 at least.

    Logits are made for supervised positions only, some at a time, and once: the gradients are made beside the loss,
    while the logits are there. A frozen head gets none and costs none.

    Args:
        hidden: [rows, tokens, width]; the last hidden state.
        labels: [rows, tokens]; -100 where a token is not supervised. Where rows are packed into one, the first token
            of each must not be.
        head: from width to the vocabulary, without bias.
        logits_at_once: how many logits may exist at a time.

    Returns:
        A scalar; zero, with zero gradients, where nothing is supervised.
    """
    targets = labels[:, 1:]
    places = (targets != IGNORED).nonzero(as_tuple=True)
    chunk = max(1, logits_at_once // head.out_features)
    return _SummedCrossEntropy.apply(hidden[:, :-1][places], head.weight, targets[places], chunk)


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
                logits = (some @ weight.t().to(some.dtype)).to(precise)
                log_sums = logits.logsumexp(-1, keepdim=True)
                loss += (log_sums - logits.gather(1, target)).sum()
                if hidden_needs or weight_needs:
                    slopes = logits.sub_(log_sums).exp_()
                    slopes.scatter_add_(1, target, torch.full_like(target, -1, dtype=precise))
                    slopes = slopes.to(some.dtype)
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
