"""What every refinement is: a prior around a prior, which starts as the one inside."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from restore.cells import Cell
from restore.priors import Prior

__all__ = ["Refined", "pixels_last"]


class Refined(Prior):
    """A prior whose features or estimate a recurrent cell refines in T steps.

    The gain alpha of the cell's contribution starts at 0 (arXiv:2003.04887), so that a refined prior starts as the
    prior inside it, to the last bit.

    Attributes:
        prior: the network inside.
        cell: the recurrent cell; its state is (N, H, W, n), one a pixel.
        steps: T.
        input: K, the map from what the cell sees to its drive.
        gain: alpha, a scalar parameter.
        states: None, or a list to which a forward pass appends the tensors of h_1 .. h_T, each (N, H, W, n), with
            their gradients retained: for those who watch the gradient's way back.
    """

    input: nn.Conv2d

    def __init__(self, prior: Prior, cell: Cell, steps: int) -> None:
        super().__init__()
        self.in_channels = prior.in_channels
        self.feature_channels = prior.feature_channels
        self.multiple = prior.multiple
        self.minimum = prior.minimum
        self.sees_pictures = prior.sees_pictures
        self.prior = prior
        self.cell = cell
        self.steps = steps
        self.gain = nn.Parameter(torch.zeros((), device=cell.device))
        self.states: list[list[Tensor]] | None = None

    def features(self, code: Tensor) -> Tensor:
        """Return the features of the prior inside, (N, feature_channels, H, W)."""
        return self.prior.features(code)

    def finish(self, features: Tensor) -> Tensor:
        """Return the image that the head of the prior inside makes of the features."""
        return self.prior.finish(features)

    def code_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (h, w) of the code for an output of `size` (H, W)."""
        return self.prior.code_size(size)


def pixels_last(features: Tensor) -> Tensor:
    """Return (N, C, H, W) as (N, H, W, C): a view, which lies in one piece if the features are channels-last."""
    return features.permute(0, 2, 3, 1)
