"""Refinement of a prior's estimate by a recurrent inference machine: the cell sees how the estimate fits the data."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from restore.cells import Cell
from restore.cells.base import glorot_bound, reset_layer_
from restore.cells.states import watch
from restore.priors import Prior
from restore.refinement.base import Refined, pixels_last

__all__ = ["RefinedEstimate"]


class RefinedEstimate(Refined):
    """x_{t+1} = x_t + alpha P h_{t+1} from x_0, the image of a prior (arXiv:1706.04008), with alpha = 0 at the start.

        h_{t+1} = cell(K [x_t, M (x_t - y), M] / sqrt(T), h_t)        t = 0 .. T - 1

    M is 1 where the measurement y may be seen, and M (x - y) the gradient of 1/2 |M (x - y)|^2. Everything that the
    objective scores must be hidden by M: one linear map of x - y alone would otherwise give y back, noise and all.

    K is a 3x3 convolution, P a linear map of every pixel's readout; they start as in `RefinedFeatures`.

    Args:
        prior: the network inside.
        cell: the recurrent cell.
        steps: T, at least 1.
        channels: C of the image.
        residual: whether the prior's output is a correction of what it is shown of y.
        generator: of the weights of K and P.
    """

    def __init__(
        self,
        prior: Prior,
        cell: Cell,
        steps: int,
        channels: int,
        residual: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(prior, cell, steps)
        self.residual = residual
        self.input = nn.Conv2d(2 * channels + 1, cell.drive_size, 3, padding=1, bias=cell.input_bias)
        reset_layer_(self.input, self.input.weight[0].numel() ** -0.5, generator)
        self.output = nn.Linear(cell.readout_size, channels, bias=False)
        reset_layer_(self.output, glorot_bound(cell.readout_size, channels), generator)

    def forward(self, code: Tensor, context: Tensor | None = None) -> Tensor:
        """Return the image (N, C, H, W), or with `residual` its difference from what is shown.

        Args:
            code: what the prior inside is shown.
            context: (N, C + 1, H, W), what is shown of y, filled where M is 0, and M.

        Raises ValueError without a context.
        """
        if context is None:
            raise ValueError("a refined estimate needs the measurement beside the code: pass it as the context")
        shown, visible = context[:, :-1], context[:, -1:]
        output = self.finish(self.features(code))
        estimate = output + shown if self.residual else output
        correction = torch.zeros_like(output)
        with parametrize.cached():
            state = self.cell.initial((output.shape[0], *output.shape[2:]))
            for _ in range(self.steps):
                current = estimate + correction
                seen = torch.cat([current, visible * (current - shown), visible], dim=1)
                drive = pixels_last(self.input(seen.contiguous(memory_format=torch.channels_last)))
                state = self.cell(drive / self.steps**0.5, state)
                watch(self.states, state)
                increment: Tensor = self.output(self.cell.readout(state))
                correction = correction + self.gain * increment.permute(0, 3, 1, 2)
        return output + correction
