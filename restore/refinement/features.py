"""Refinement of a prior's last features: the measurement never enters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from restore.cells import Cell, State
from restore.cells.base import glorot_bound, reset_layer_
from restore.cells.rflo import RFLO
from restore.cells.rflo_learning import FeedbackLinear
from restore.cells.states import watch
from restore.priors import Prior
from restore.refinement.base import Refined, pixels_last

__all__ = ["RefinedFeatures"]


class RefinedFeatures(Refined):
    """f' = f + alpha P h_T on the last features f of a prior, with alpha = 0 at the start.

        h_{t+1} = cell(K f / sqrt(T), h_t)                  t = 0 .. T - 1
        h_{t+1} = cell(K (f + alpha P h_t) / sqrt(T), h_t)  for cells that a constant drive makes pointless

    K is a 3x3 convolution, P a linear map of every pixel's readout. A pixel-wise recurrence behind a 3x3 input map is
    the plan of recurrent inference machines (arXiv:1706.04008). With 1 / sqrt(T) the state of an orthogonal recurrence
    keeps its size whatever T is. Memory: T states of float32 unless the cell is recomputed in blocks.

    K and P start from U(-1/sqrt(fan_in), 1/sqrt(fan_in)) and Glorot uniform, biases at 0: features have unit variance,
    unlike the inputs that the cells' papers choose their smaller rules for.

    With a cell `RFLO` that learns by its local rule, P is a `FeedbackLinear`, and nothing returns to f through the
    drive: the prior learns by backpropagation through f alone.

    Args:
        prior: the network inside.
        cell: the recurrent cell.
        steps: T, at least 1.
        generator: of the weights of K and P.
    """

    def __init__(self, prior: Prior, cell: Cell, steps: int, generator: torch.Generator | None = None) -> None:
        super().__init__(prior, cell, steps)
        channels = prior.feature_channels
        self.input = nn.Conv2d(channels, cell.drive_size, 3, padding=1, bias=cell.input_bias)
        reset_layer_(self.input, self.input.weight[0].numel() ** -0.5, generator)
        self.local = isinstance(cell, RFLO) and cell.learning_rule == "rflo"
        self.output: nn.Module
        if self.local:
            self.output = FeedbackLinear(cell.readout_size, channels, generator=generator)
        else:
            linear = nn.Linear(cell.readout_size, channels, bias=False)
            reset_layer_(linear, glorot_bound(cell.readout_size, channels), generator)
            self.output = linear

    def forward(self, code: Tensor) -> Tensor:
        """Return the image (N, out_channels, H, W)."""
        return self.finish(self.refined(self.features(code)))

    def refined(self, features: Tensor) -> Tensor:
        """Return f' (N, C, H, W) from f (N, C, H, W)."""
        with parametrize.cached():
            state = self.cell.initial((features.shape[0], *features.shape[2:]))
            drive = None if self.cell.needs_varying_drive else self._drive(features)
            for step in range(self.steps):
                if self.cell.needs_varying_drive:
                    drive = self._drive(features if step == 0 else self._corrected(features, state))
                state = self.cell(drive, state)
                watch(self.states, state)
            return self._corrected(features, state)

    def _drive(self, features: Tensor) -> Tensor:
        drive: Tensor = self.input(features.detach() if self.local else features)
        return pixels_last(drive).div(self.steps**0.5)

    def _corrected(self, features: Tensor, state: State) -> Tensor:
        correction: Tensor = self.output(self.cell.readout(state))
        refined: Tensor = features + self.gain * correction.permute(0, 3, 1, 2)
        return refined
