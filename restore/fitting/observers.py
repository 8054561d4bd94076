"""Observers that measure. They never speak to the fit, so a reference that they hold cannot steer it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from restore.errors import UsageError
from restore.fitting.trace import Step
from restore.metrics.fidelity import psnr
from restore.problems.problem import Problem

__all__ = ["ReferenceCurve"]


@dataclass
class ReferenceCurve:
    """PSNR against a reference, in dB, of what would be written at each check; values in [0, 1].

    Attributes:
        problem: whose known pixels are pasted over the image, as in the written one.
        reference: float32 (1, C, H, W).
        unclips: whether clipping is undone in the image, as in the written one.
        iteration, psnr: the curve of the averaged image.
        network: the curve of the network's output itself: not averaged, nothing pasted and no clipping undone.
    """

    problem: Problem
    reference: Tensor
    unclips: bool = field(default=False, kw_only=True)
    iteration: list[int] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    network: list[float] = field(default_factory=list)

    def __call__(self, step: Step) -> None:
        """Measure the step if it is a check."""
        if step.check:
            self.iteration.append(step.iteration)
            image = self.problem.composite(step.image.cpu())
            self.psnr.append(self._psnr(self.problem.unclipped(image) if self.unclips else image))
            self.network.append(self._psnr(step.output.cpu()))

    def state(self) -> dict[str, Any]:
        """Return the curves, and what they were measured against."""
        curves = {"iteration": self.iteration, "psnr": self.psnr, "network": self.network}
        return {**curves, "reference": self._digest()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned.

        Raises UsageError for the curves of another reference.
        """
        if state["reference"] != self._digest():
            raise UsageError(
                "the fit in the checkpoint was measured against another reference picture: go on with that one, or "
                "delete the checkpoint."
            )
        self.iteration, self.psnr, self.network = state["iteration"], state["psnr"], state["network"]

    def _digest(self) -> str:
        return hashlib.sha256(self.reference.cpu().contiguous().numpy().tobytes()).hexdigest()[:16]

    def _psnr(self, image: Tensor) -> float:
        return float(psnr(image[0].clamp(0, 1), self.reference[0]))
