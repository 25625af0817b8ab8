"""Graph over the categories: co-occurrence from partial labels, gated propagation (HST Eq. 2)."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def cooccurrence_adjacency(
    labels: Int[Tensor, "images categories"], smoothing: float = 0.0
) -> Float[Tensor, "categories categories"]:
    """Estimate ``A_ij``, the probability of category i where category j is present.

    ``A_ij = N(i present, j present) / N(i known, j present)``: only images where i is known count.
    Dividing by all images with j, known or not, would scale A by the known proportion
    (reference §2). A pair never seen together with both known gets 0 unless smoothed.

    Args:
        labels: -1, 0 or 1, of the whole training set.
        smoothing: number of imagined images with j that show i as often as the data set does;
            a little of it keeps rare categories from links based on one image.

    Returns:
        float32, diagonal 1.
    """
    present = (labels == 1).float()
    known = (labels != 0).float()
    together = present.T @ present
    observed = known.T @ present
    share = present.sum(dim=0) / known.sum(dim=0).clamp(min=1)
    adjacency = (together + smoothing * share[:, None]) / (observed + smoothing).clamp(min=1e-12)
    return torch.where(observed + smoothing > 0, adjacency, 0.0).fill_diagonal_(1.0)


class GatedGraph(nn.Module):
    """Gated graph network: categories exchange messages for a few steps.

    Message ``[A h ; A^T h]``, then the gates of a recurrent unit, shared over time. No step is the
    identity; with A = I categories do not see each other.

    Args:
        channels: size of a category's state.
        steps: T (paper 3).
    """

    def __init__(self, channels: int, steps: int = 3) -> None:
        super().__init__()
        if steps < 0:
            raise ValueError(f"steps must be 0 or more, got {steps} (paper: 3; 0 is no graph)")
        self.steps = steps
        # Update gate, reset gate and candidate in one product each.
        self.from_message = nn.Linear(2 * channels, 3 * channels)
        self.gates_from_state = nn.Linear(channels, 2 * channels, bias=False)
        self.candidate_from_state = nn.Linear(channels, channels, bias=False)

    def forward(
        self,
        category_features: Float[Tensor, "batch categories channels"],
        adjacency: Float[Tensor, "categories categories"],
    ) -> Float[Tensor, "batch categories channels"]:
        """Return the states after the last step."""
        state = category_features
        adjacency = adjacency.to(state.dtype)
        for _ in range(self.steps):
            message = torch.cat([adjacency @ state, adjacency.T @ state], dim=2)
            update, reset, candidate = self.from_message(message).chunk(3, dim=2)
            update_state, reset_state = self.gates_from_state(state).chunk(2, dim=2)
            update = torch.sigmoid(update + update_state).to(state.dtype)
            reset = torch.sigmoid(reset + reset_state)
            candidate = torch.tanh(candidate + self.candidate_from_state(reset * state))
            # The same as (1 - z) h + z h~, with one product less.
            state = torch.lerp(state, candidate.to(state.dtype), update)
        return state
