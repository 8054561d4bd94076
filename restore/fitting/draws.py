"""What one step of a fit shows and scores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Draw", "Score", "score_difference"]


@dataclass(frozen=True)
class Draw:
    """What one step shows and scores.

    Attributes:
        input: the network's input, padded, (1, in_channels, H', W') or the size of a code.
        base: (1, C, H, W) to add to the network's output, or None.
        scored: float (1, 1, H, W), the weight of each pixel in the loss.
        context: None, or for a network that refines its estimate (1, C + 1, H', W'): what it is shown of the
            measurement, and where.
        target: (1, C, H, W) that the output is compared with, where that is not the measurement.
    """

    input: Tensor
    base: Tensor | None
    scored: Tensor
    context: Tensor | None = None
    target: Tensor | None = None

    @property
    def inputs(self) -> list[Tensor]:
        """The arguments of the network."""
        parts = [self.input] if self.context is None else [self.input, self.context]
        return [part.contiguous(memory_format=torch.channels_last) for part in parts]


@dataclass(frozen=True)
class Score:
    """Value of the objective (with gradient), and the mean squared difference on the same pixels."""

    loss: Tensor
    misfit: Tensor


def score_difference(difference: Tensor, scored: Tensor, loss: str) -> Score:
    """Return the mean over the `scored` pixels of the squared or absolute `difference` (1, C, H, W)."""
    count = scored.sum().clamp(min=1) * difference.shape[1]
    misfit = (difference.square() * scored).sum() / count
    if loss == "squared":
        return Score(misfit, misfit)
    return Score((difference.abs() * scored).sum() / count, misfit)
