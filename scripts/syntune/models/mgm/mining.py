"""Patch-info mining: each patch of the low-resolution image asks its window of the high-resolution one.

Y. Li et al., "Mini-Gemini: Mining the Potential of Multi-modality Vision Language Models", 2024, section 3.2.
"""

import torch
from torch import nn
from torch.nn import functional


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

    def forward(self, patches: torch.Tensor, aux_features: torch.Tensor) -> torch.Tensor:
        """What the patches find.

        Args:
            patches: [images, patches, C], row by row of a square grid.
            aux_features: [images, D, side, side], with a side that is a multiple of the grid's.

        Returns:
            [images, patches, C].
        """
        windows = _windows(aux_features, grid=round(patches.shape[1] ** 0.5))
        windows = functional.layer_norm(windows, windows.shape[-1:], eps=self.key_norm.eps).to(windows.dtype)
        query = self.query_projection(self.query_norm(patches))
        query = (query @ self.key_projection.weight) * self.key_norm.weight
        scores = windows @ query.to(windows.dtype).unsqueeze(-1) / patches.shape[-1] ** 0.5
        weights = scores.squeeze(-1).softmax(dim=-1, dtype=torch.float32).to(windows.dtype)
        pooled = (weights.unsqueeze(-2) @ windows).squeeze(-2)
        return self.value_projection(pooled * self.value_norm.weight + self.value_norm.bias)


def _windows(features: torch.Tensor, grid: int) -> torch.Tensor:
    """Cut [N, D, side, side] into [N, grid * grid, positions of a window, D]."""
    count, channels, side, _ = features.shape
    window = side // grid
    features = features.view(count, channels, grid, window, grid, window).permute(0, 2, 4, 3, 5, 1)
    return features.reshape(count, grid * grid, window * window, channels)
