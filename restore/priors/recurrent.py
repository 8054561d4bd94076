"""A generator that is a recurrence: the weights of all its steps are the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from restore.cells import make_cell
from restore.cells.states import map_state, watch
from restore.errors import UsageError
from restore.priors.base import Prior
from restore.priors.normalisation import make_normalisation

__all__ = ["RecurrentGenerator"]


class RecurrentGenerator(Prior):
    """A code (N, r, h, w) to an image (N, out_channels, H, W) in (0, 1), by T steps of one recurrent cell.

        B_0 = code,    h_{t+1} = cell(K S B_t, S h_t),    B_{t+1} = norm(readout(h_{t+1})),    x = sigmoid(G B_T)

    S is the space between the steps. With `scales` it doubles the resolution before each step but the first, and the
    steps are the scales of a deep decoder (arXiv:1810.03982) whose layers share one set of weights. Otherwise it
    smooths by the binomial kernel [1 2 1] / 4 at full resolution, as in the decoder without upsampling
    (arXiv:1910.14634). K and G are linear maps of a pixel. The number of parameters does not depend on T.

    Args:
        out_channels: channels of the image.
        norm: normalisation of the readouts.
        cell: name of the recurrent cell.
        channels: n of the cell.
        steps: T, at least 1; with `scales` at least 2.
        scales: whether the steps double the resolution.
        cell_options: further options of the cell, by name.
        seed: of the cell's weights; those of K and G are drawn by `restore.priors.initialise`.

    Raises UsageError for a cell, a size or steps that do not exist.
    """

    sees_pictures = False

    def __init__(
        self,
        out_channels: int,
        norm: str = "channel",
        cell: str = "scornn",
        channels: int = 64,
        steps: int = 8,
        scales: bool = False,
        cell_options: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if steps < 1 + scales:
            raise UsageError(f"a recurrent generator needs at least {1 + scales} step(s), not {steps}.")
        generator = torch.Generator().manual_seed(seed)
        self.cell = make_cell(cell, channels, generator=generator, **(cell_options or {}))
        self.steps = steps
        self.scales = scales
        width = self.cell.readout_size
        self.in_channels = self.feature_channels = width
        self.multiple = 2 ** (steps - 1) if scales else 1
        self.minimum = 2 * self.multiple if scales else 3
        self.input = nn.Conv2d(width, self.cell.drive_size, 1, bias=self.cell.input_bias)
        self.norm = make_normalisation(norm, width)
        self.head = nn.Conv2d(width, out_channels, 1, bias=False)
        self.states: list[list[Tensor]] | None = None

    def features(self, code: Tensor) -> Tensor:
        """Return B_T (N, r, H, W)."""
        between = _doubled if self.scales else _smoothed
        features = code
        with parametrize.cached():
            state = self.cell.initial((code.shape[0], *code.shape[2:]))
            for step in range(self.steps):
                if step or not self.scales:
                    features = between(features)
                    state = map_state(state, functools.partial(_resampled, between))
                state = self.cell(self.input(features).permute(0, 2, 3, 1), state)
                watch(self.states, state)
                features = self.norm(self.cell.readout(state).permute(0, 3, 1, 2))
        return features

    def finish(self, features: Tensor) -> Tensor:
        """Return the image that the head makes of the features."""
        return torch.sigmoid(self.head(features))

    def code_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (h, w) of the code for an output of `size` (H, W)."""
        return size[0] // self.multiple, size[1] // self.multiple


def _doubled(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)


def _smoothed(features: Tensor) -> Tensor:
    padded = F.pad(features, (1, 1, 1, 1), mode="replicate")
    rows = 0.25 * (padded[:, :, :-2] + padded[:, :, 2:]) + 0.5 * padded[:, :, 1:-1]
    return 0.25 * (rows[..., :-2] + rows[..., 2:]) + 0.5 * rows[..., 1:-1]


def _resampled(between: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """Return (N, h, w, n) resampled over h and w; complex values by their parts."""
    if values.is_complex():
        return torch.complex(_resampled(between, values.real), _resampled(between, values.imag))
    return between(values.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
