"""What every refinement is: a prior around a prior, which starts as the one inside."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from restore.cells import Cell, State
from restore.cells.base import glorot_bound, reset_layer_
from restore.cells.rflo_learning import FeedbackLinear
from restore.priors import Prior

__all__ = ["Refined"]

BLOCK = 2
"""Pixels along a side of the block that one state stands for."""


class Refined(Prior):
    """A prior whose features or estimate a recurrent cell refines in T steps.

    One state (n,) stands for a block of 2x2 pixels: K reads the block and a border of one pixel around it, P writes all
    of its pixels. That is a quarter of the states, and of the time, that a state for every pixel would take.

    The gain alpha of the cell's contribution starts at 0 (arXiv:2003.04887), so that a refined prior starts as the
    prior inside it, to the last bit. K and P start from U(-1/sqrt(fan_in), 1/sqrt(fan_in)) and Glorot uniform, biases
    at 0: features have unit variance, unlike the inputs that the cells' papers choose their smaller rules for.

    Args:
        prior: the network inside.
        cell: the recurrent cell.
        steps: T, at least 1.
        seen: channels of what the cell sees.
        written: channels of what it corrects.
        generator: of the weights of K and P.
        local: whether P feeds errors back through fixed random weights (`FeedbackLinear`).

    Attributes:
        prior: the network inside.
        cell: the recurrent cell; its state is (N, H/2, W/2, n).
        steps: T.
        input: K, a 4x4 convolution of stride 2 from what the cell sees to its drive.
        output: P, a linear map from the readout to the pixels of a block.
        gain: alpha, a scalar parameter.
        states: None, or a list to which a forward pass appends the tensors of h_1 .. h_T, each (N, H/2, W/2, n), with
            their gradients retained: for those who watch the gradient's way back.
    """

    def __init__(
        self,
        prior: Prior,
        cell: Cell,
        steps: int,
        seen: int,
        written: int,
        generator: torch.Generator | None = None,
        local: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = prior.in_channels
        self.feature_channels = prior.feature_channels
        self.multiple = math.lcm(prior.multiple, BLOCK)
        self.minimum = prior.minimum
        self.sees_pictures = prior.sees_pictures
        self.prior = prior
        self.cell = cell
        self.steps = steps
        self.input = nn.Conv2d(seen, cell.drive_size, 2 * BLOCK, BLOCK, BLOCK // 2, bias=cell.input_bias)
        reset_layer_(self.input, self.input.weight[0].numel() ** -0.5, generator)
        self.output = _output(cell.readout_size, written * BLOCK**2, local, generator)
        self.gain = nn.Parameter(torch.zeros((), device=cell.device))
        self.states: list[list[Tensor]] | None = None

    def features(self, code: Tensor) -> Tensor:
        """Return the features of the prior inside, (N, feature_channels, H, W)."""
        return self.prior.features(code)

    def finish(self, features: Tensor) -> Tensor:
        """Return the image that the head of the prior inside makes of the features."""
        return self.prior.finish(features)

    def drive(self, seen: Tensor) -> Tensor:
        """Return K s / sqrt(T), (N, H/2, W/2, drive_size), from what the cell sees, (N, C, H, W)."""
        drive: Tensor = self.input(seen)
        return drive.permute(0, 2, 3, 1).div(self.steps**0.5)

    def correction(self, state: State) -> Tensor:
        """Return alpha P h, (N, C, H, W)."""
        written: Tensor = self.gain * self.output(self.cell.readout(state))
        count, height, width, _ = written.shape
        # Each block's rows and columns go where they belong; the channels of a pixel stay together, as they lie.
        blocks = written.view(count, height, width, BLOCK, BLOCK, -1).transpose(2, 3)
        return blocks.reshape(count, height * BLOCK, width * BLOCK, -1).permute(0, 3, 1, 2)

    def initial(self, like: Tensor) -> State:
        """Return h_0 for images of the size and number of `like`, (N, C, H, W)."""
        count, _, height, width = like.shape
        return self.cell.initial((count, height // BLOCK, width // BLOCK))

    def code_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (h, w) of the code for an output of `size` (H, W)."""
        return self.prior.code_size(size)


def _output(readout: int, written: int, local: bool, generator: torch.Generator | None) -> nn.Module:
    if local:
        return FeedbackLinear(readout, written, generator=generator)
    linear = nn.Linear(readout, written, bias=False)
    reset_layer_(linear, glorot_bound(readout, written), generator)
    return linear
