"""Refinement of a prior's estimate by a recurrent inference machine: the cell sees how the estimate fits the data."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from restore.cells import Cell
from restore.cells.states import watch
from restore.priors import Prior
from restore.refinement.base import Refined

__all__ = ["RefinedEstimate"]


class RefinedEstimate(Refined):
    """x_{t+1} = x_t + alpha P h_{t+1} from x_0, the image of a prior (arXiv:1706.04008), with alpha = 0 at the start.

        h_{t+1} = cell(K [x_t, M (x_t - y), M] / sqrt(T), h_t)        t = 0 .. T - 1

    M is 1 where the measurement y may be seen, and M (x - y) the gradient of 1/2 |M (x - y)|^2. Everything that the
    objective scores must be hidden by M: one linear map of x - y alone would otherwise give y back, noise and all.

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
        super().__init__(prior, cell, steps, 2 * channels + 1, channels, generator)
        self.residual = residual

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
            state = self.initial(output)
            for _ in range(self.steps):
                current = estimate + correction
                seen = torch.cat([current, visible * (current - shown), visible], dim=1)
                state = self.cell(self.drive(seen.contiguous(memory_format=torch.channels_last)), state)
                watch(self.states, state)
                correction = correction + self.correction(state)
        return output + correction
