"""Averaging the outputs of a fit: the noise of single steps goes, what they agree on stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

__all__ = ["OutputAverage"]

START = 3.0
"""The n-th output enters with the weight min(1, START / n), until the decay reaches its largest value."""


class OutputAverage:
    """Exponential running average of images, whose memory grows with the number of images seen.

        a_n = d_n a_{n-1} + (1 - d_n) x_n,    d_n = min(decay, max(0, 1 - 3 / n))

    With decay 0 it is the last image. The published deep image prior averages with a constant decay of 0.99
    (arXiv:1711.10925); the growing memory forgets the first, blurred outputs sooner.

    Args:
        decay: largest decay, in [0, 1).
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.count = 0
        self.image: Tensor | None = None

    def state(self) -> dict[str, Any]:
        """Return the average and the number of images in it."""
        return {"count": self.count, "image": self.image}

    def restore(self, state: Mapping[str, Any], device: torch.device | str = "cpu") -> None:
        """Take back what `state` returned, to `device`."""
        self.count = state["count"]
        self.image = None if state["image"] is None else state["image"].to(device)

    def update(self, image: Tensor) -> Tensor:
        """Take in one more `image` (any shape, always the same) and return the average, which is updated in place."""
        self.count += 1
        decay = min(self.decay, max(0.0, 1 - START / self.count))
        if self.image is None or decay == 0:
            self.image = image.clone()
        else:
            self.image.lerp_(image, 1 - decay)
        return self.image
