"""Patch-info mining: each patch of the low-resolution image asks its window of the high-resolution one.

Y. Li et al., "Mini-Gemini: Mining the Potential of Multi-modality Vision Language Models", 2024, section 3.2.
"""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from syntune.models.mgm.triton_use import in_triton


class PatchInfoMining(nn.Module):
    """Single-head attention of every patch over the positions of its own window.

    With x' the normalised position (before the affine part of LayerNorm), the paper's definition is

        q = Wq LN(patch) + bq,  k = Wk (gk x' + hk) + bk,  v = Wv (gv x' + hv) + bv,
        mined = sum_j softmax_j(q.k_j / sqrt(C)) v_j.

    Terms of q.k that do not depend on j cancel in the softmax, and the softmax sums to one, so exactly

        mined = Wv (gv p + hv) + bv,  p = sum_j softmax_j((gk Wk'q).x'_j / sqrt(C)) x'_j:

    the two wide projections act on one vector a patch instead of on every position of its window.
    """

    def __init__(self, hidden_size: int, aux_hidden_size: int) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(hidden_size)
        self.query_projection = nn.Linear(hidden_size, hidden_size)
        self.key_norm = nn.LayerNorm(aux_hidden_size)
        self.key_projection = nn.Linear(aux_hidden_size, hidden_size)
        self.value_norm = nn.LayerNorm(aux_hidden_size)
        self.value_projection = nn.Linear(aux_hidden_size, hidden_size)

    def forward(self, patches: torch.Tensor, aux_stages: Sequence[torch.Tensor]) -> torch.Tensor:
        """What the patches find.

        Args:
            patches: [images, patches, C], row by row of a square grid.
            aux_stages: [images, channels, side, side] each, of sides that fall; the channels add up to D, and the
                first side, which the others are resized to, is a multiple of the grid's.

        Returns:
            [images, patches, C].
        """
        query = self.query_projection(self.query_norm(patches))
        query = (query @ self.key_projection.weight) * self.key_norm.weight / patches.shape[-1] ** 0.5
        if _fits_kernel(query, aux_stages) and (self.training or in_triton(query)):
            from syntune.models.mgm import vision_kernels

            pooled = vision_kernels.mine(query, aux_stages, self.key_norm.eps)
        else:
            pooled = mine_in_torch(query, aux_stages, self.key_norm.eps)
        return self.value_projection(pooled * self.value_norm.weight + self.value_norm.bias)


def side_by_side(stages: Sequence[torch.Tensor]) -> torch.Tensor:
    """The stages' features as one, [images, D, side, side], at the first stage's resolution."""
    side = stages[0].shape[-2:]
    resized = (
        functional.interpolate(stage.float(), size=side, mode="bilinear").to(stage.dtype) for stage in stages[1:]
    )
    return torch.cat([stages[0], *resized], dim=1)


def mine_in_torch(query: torch.Tensor, stages: Sequence[torch.Tensor], epsilon: float) -> torch.Tensor:
    """The sum p of the class's formula, [images, patches, D]; ``query`` is the first factor of the products."""
    windows = _windows(side_by_side(stages), grid=round(query.shape[1] ** 0.5))
    windows = functional.layer_norm(windows, windows.shape[-1:], eps=epsilon).to(windows.dtype)
    scores = windows @ query.to(windows.dtype).unsqueeze(-1)
    weights = scores.squeeze(-1).softmax(dim=-1, dtype=torch.float32).to(windows.dtype)
    return (weights.unsqueeze(-2) @ windows).squeeze(-2)


def _fits_kernel(query: torch.Tensor, stages: Sequence[torch.Tensor]) -> bool:
    """Whether the kernel, which resizes as it reads, can do it: frozen half-precision stages on a GPU."""
    sides = [stage.shape[-1] for stage in stages]
    window = sides[0] // round(query.shape[1] ** 0.5)
    return (
        query.is_cuda
        and len(stages) == 4
        and all(stage.dtype in (torch.bfloat16, torch.float16) and not stage.requires_grad for stage in stages)
        and all(sides[0] % side == 0 for side in sides)
        and 4 <= window <= 8
        and window.bit_count() == 1
    )


def _windows(features: torch.Tensor, grid: int) -> torch.Tensor:
    """Cut [N, D, side, side] into [N, grid * grid, positions of a window, D]."""
    count, channels, side, _ = features.shape
    window = side // grid
    features = features.view(count, channels, grid, window, grid, window).permute(0, 2, 4, 3, 5, 1)
    return features.reshape(count, grid * grid, window * window, channels)
