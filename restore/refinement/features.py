"""Refinement of a prior's last features: the measurement never enters."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from restore.cells import Cell
from restore.cells.rflo import RFLO
from restore.cells.states import watch
from restore.priors import Prior
from restore.refinement.base import Refined

__all__ = ["RefinedFeatures"]


class RefinedFeatures(Refined):
    """f' = f + alpha P h_T on the last features f of a prior, with alpha = 0 at the start.

        h_{t+1} = cell(K f / sqrt(T), h_t)                  t = 0 .. T - 1
        h_{t+1} = cell(K (f + alpha P h_t) / sqrt(T), h_t)  for cells that a constant drive makes pointless

    A recurrence of its own in every place behind a convolution as input map is the plan of recurrent inference machines
    (arXiv:1706.04008). With 1 / sqrt(T) the state of an orthogonal recurrence keeps its size whatever T is.

    With a cell `RFLO` that learns by its local rule, P is a `FeedbackLinear`, and nothing returns to f through the
    drive: the prior learns by backpropagation through f alone.

    Args:
        prior: the network inside.
        cell: the recurrent cell.
        steps: T, at least 1.
        generator: of the weights of K and P.
    """

    def __init__(self, prior: Prior, cell: Cell, steps: int, generator: torch.Generator | None = None) -> None:
        local = isinstance(cell, RFLO) and cell.learning_rule == "rflo"
        channels = prior.feature_channels
        super().__init__(prior, cell, steps, channels, channels, generator, local)
        self.local = local

    def forward(self, code: Tensor) -> Tensor:
        """Return the image (N, out_channels, H, W)."""
        return self.finish(self.refined(self.features(code)))

    def refined(self, features: Tensor) -> Tensor:
        """Return f' (N, C, H, W) from f (N, C, H, W)."""
        with parametrize.cached():
            state = self.initial(features)
            drive = self.drive(features.detach() if self.local else features)
            for step in range(self.steps):
                if self.cell.needs_varying_drive and step:
                    drive = self.drive(features + self.correction(state))
                state = self.cell(drive, state)
                watch(self.states, state)
            return features + self.correction(state)
