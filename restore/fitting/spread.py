"""How much the images of single steps differ where they are averaged: where a fit is unsure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from restore.fitting.averaging import OutputAverage
from restore.fitting.fills import fill_from_neighbours
from restore.fitting.judge import Fitted
from restore.fitting.trace import Step
from restore.fitting.training import Training
from restore.problems.problem import Problem

__all__ = ["Spread", "uncertainty"]


class Spread:
    """The variance of the images of the last steps about their average, at the step whose image is best; an observer.

    Every step hides other pixels or adds other noise, and has other weights. The squares are averaged as the images
    are. The best step is that of the least held-out error, or the last one looked at where nothing is held out.

    Args:
        decay: largest decay of the average of the images.

    Attributes:
        variance: (1, C, H, W), or None before the first step.
    """

    def __init__(self, decay: float) -> None:
        self._mean, self._average = OutputAverage(decay), OutputAverage(decay)
        self._filled: Tensor | None = None
        self._least = math.inf
        self._device = torch.device("cpu")
        self.variance: Tensor | None = None

    def attach(self, training: Training) -> None:
        """Remember which pixels the steps fill from their neighbours: these say less than they would when shown."""
        self._filled = training.shown_in_looks
        self._device = training.device

    def __call__(self, step: Step) -> None:
        """Take in a step."""
        current = self._average.update((step.output - self._mean.update(step.output)).square())
        better = step.check and (step.held_out is None or step.held_out < self._least)
        if better or self.variance is None:  # a fit may end before its first check
            self._least = self._least if step.held_out is None else step.held_out
            self.variance = current.clone()
            if self._filled is not None:
                self.variance = fill_from_neighbours(self.variance, (~self._filled).float())

    def state(self) -> dict[str, Any]:
        """Return what was seen so far."""
        return {
            "mean": self._mean.state(),
            "average": self._average.state(),
            "least": self._least,
            "variance": self.variance,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self._mean.restore(state["mean"], self._device)
        self._average.restore(state["average"], self._device)
        self._least = state["least"]
        self.variance = None if state["variance"] is None else state["variance"].to(self._device)


def uncertainty(problem: Problem, fitted: Fitted, spread: Spread) -> tuple[Tensor, bool] | None:
    """Return the standard deviation of every value of the image, (C, H, W), and whether it is calibrated.

    The spread says where, not how much: the images of the steps share what they have in common. So it is scaled such
    that its mean square is the error that the held-out pixels suggest, where they suggest one. Measured pixels of an
    inpainting are certain.

    Returns None for a fit without a step.
    """
    if spread.variance is None:
        return None
    variance = spread.variance.cpu()
    mean = float(variance.mean())
    error = None if fitted.held_out_error is None else fitted.held_out_error - (problem.sigma / 255) ** 2
    calibrated = error is not None and error > 0 and mean > 0
    if calibrated:
        assert error is not None
        variance = variance * (error / mean)
    if problem.kind == "inpaint":
        variance = torch.where(problem.known.cpu(), torch.zeros(()), variance)
    return variance.sqrt()[0], calibrated
