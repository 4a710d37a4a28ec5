"""Whether a run learned: a loss that only wavers, or an adapter that hardly moved, is a fault although nothing broke.

The verdict is given at the end and stops nothing: the checkpoint is written, and says that it taught the model nothing.
"""

import math
import statistics
from collections.abc import Mapping, Sequence

import torch

LEAST_STEPS = 10
"""Below this, a loss says nothing of a trend."""

FEW_STEPS = 30
"""Optimizer steps below which a run is warned of: warm-up and decay of the learning rate take most of them."""

_WINDOW = 50
"""Steps, at most, of the windows at both ends; a third of a short run."""

_NOISES = 3
"""Standard errors by which the loss must fall. In simulations, noise alone falls so far in 1 of 40 runs of 10 steps, in
1 of 170 of 30."""

_LEAST_MOVE = 1e-3
"""Least norm of an adapter's B matrices, which begin at zero, as a share of the norm of its A matrices."""

_MAD_TO_DEVIATION = 1.4826
"""A normal distribution's standard deviation in units of its median absolute deviation."""


def few_steps(steps: int) -> str | None:
    """What to say before a run of so few optimizer steps; None where there are enough."""
    if steps >= FEW_STEPS:
        return None
    return (
        f"{steps} optimizer steps are few, below {FEW_STEPS}: for more, give more rows or epochs, or lower "
        "global_batch_size"
    )


def fall_of(losses: Sequence[float]) -> tuple[float, float, float]:
    """How a loss moved: its means over the first and the last steps, and the standard error of their difference.

    The noise of a step comes from the median absolute deviation of the differences between neighbours: neither the
    trend itself nor a single spike counts as noise.
    """
    window = max(1, min(_WINDOW, len(losses) // 3))
    steps = [after - before for before, after in zip(losses, losses[1:], strict=False)]
    middle = statistics.median(steps)
    noise = _MAD_TO_DEVIATION * statistics.median(abs(step - middle) for step in steps) / math.sqrt(2)
    return statistics.fmean(losses[:window]), statistics.fmean(losses[-window:]), noise * math.sqrt(2 / window)


def judge_learning(
    losses: Sequence[float], moved: float | None, validation: Sequence[float] = ()
) -> tuple[bool | None, str]:
    """Whether a run learned, None where its steps are too few to tell, and what was seen.

    Args:
        losses: of every step.
        moved: norm of the adapter's B matrices as a share of that of its A matrices; None without an adapter.
        validation: losses of held-out rows, the first before the first step; none without such rows.
    """
    faults, seen = [], []
    if len(losses) >= LEAST_STEPS:
        first, last, error = fall_of(losses)
        seen.append(f"training loss {first:.3f} to {last:.3f} (noise {error:.3f})")
        if first - last <= _NOISES * error:
            faults.append(f"it did not fall by more than {_NOISES} times its noise")
    if validation:
        seen.append(f"validation loss {validation[0]:.3f} to {validation[-1]:.3f}")
        if not validation[-1] < validation[0]:  # nor if one is no number
            faults.append("held-out rows are not answered better than before")
    if moved is not None:
        seen.append(f"adapter B at {moved:.2g} of A")
        if moved < _LEAST_MOVE:
            faults.append(f"the adapter hardly moved (below {_LEAST_MOVE:g}): raise learning_rate")
    told = ", ".join(seen)
    if faults:
        return False, f"{told}: {'; '.join(faults)}"
    if len(losses) < LEAST_STEPS and not validation:
        return None, f"{len(losses)} steps are too few to tell" + (f"; {told}" if told else "")
    return True, told


def adapter_move(tensors: Mapping[str, torch.Tensor]) -> float | None:
    """Norm of an adapter's B matrices as a share of that of its A matrices; None where there is no adapter."""
    norms = [
        math.hypot(*(float(tensor.norm()) for name, tensor in tensors.items() if f".lora_{which}." in name))
        for which in "BA"
    ]
    return norms[0] / norms[1] if norms[1] else None
