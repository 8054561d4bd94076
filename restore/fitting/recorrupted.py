"""The objective for noise that is correlated between pixels: shown is more noise, asked for is other noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from restore.errors import UsageError
from restore.fitting.draws import Draw, Score, score_difference
from restore.fitting.masking import fill_from_neighbours
from restore.problems.padding import Padding
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["RECORRUPTION", "Recorrupted"]

RECORRUPTION = 1.0
"""The weight tau of the noise added to what is shown; what is asked for has 1 / tau of it."""


class Recorrupted:
    """`recorrupted`: the measurement with more of its own noise is shown, the measurement with less of it is asked for.

        shown = y + tau z,    asked for = y - z / tau,    z ~ N(0, Sigma), drawn anew in every step

    Where the noise n of y has the covariance Sigma, that of the two is cov(n + tau z, n - z / tau) = Sigma - Sigma = 0:
    what is asked for tells the network nothing of the noise that it is shown, whatever neighbours know of each other.
    Source: Pang, Zheng, Quan and Ji, Recorrupted-to-Recorrupted, CVPR 2021, pages 2043 to 2052.

    Some pixels may be hidden as well, and those alone be scored, as in `blindspot`: that keeps out what is left of the
    noise where the covariance is too small.

    Args:
        problem: with the `covariance` of its noise.
        plan, padding: of the fit.
        held_out: bool (1, 1, H, W), pixels that are never scored.
        generator: of the device of the measurement.

    Raises UsageError for a problem without covariance.
    """

    def __init__(
        self, problem: Problem, plan: Plan, padding: Padding, held_out: Tensor, generator: torch.Generator
    ) -> None:
        if problem.covariance is None:
            raise UsageError(
                "objective 'recorrupted' needs the covariance of the noise, and this picture shows none: "
                "use --objective blindspot."
            )
        self._plan, self._padding, self._generator = plan, padding, generator
        self.generators: Sequence[torch.Generator] = (generator,)
        measurement = problem.measurement
        self._shown = fill_from_neighbours(measurement, problem.known.float())
        self._measurement = measurement
        self._scored = (problem.known & ~held_out).float()
        root = torch.from_numpy(problem.covariance.root(problem.size))
        self._root = root.to(measurement.device, torch.complex64)

    def draw(self) -> Draw:
        """Return the measurement with more noise, and what is asked for."""
        noise = self.noise()
        asked = self._measurement - noise / RECORRUPTION
        shown = self._shown + RECORRUPTION * noise
        if self._plan.hidden == 0:
            return Draw(self._padding.pad(shown), None, self._scored, target=asked)
        draw = torch.rand(self._scored.shape, generator=self._generator, device=shown.device)
        scored = self._scored * (draw < self._plan.hidden)
        shown = fill_from_neighbours(shown, self._scored - scored)
        return Draw(self._padding.pad(shown), None, scored, target=asked)

    def noise(self) -> Tensor:
        """Return noise (1, C, H, W) of the covariance, on a torus."""
        shape = self._measurement.shape
        white = torch.randn(shape, generator=self._generator, device=self._measurement.device)
        spectrum = torch.einsum("hwij,jhw->ihw", self._root, torch.fft.fft2(white[0]))
        noise: Tensor = torch.fft.ifft2(spectrum).real[None]
        return noise

    def image(self, output: Tensor, draw: Draw) -> Tensor:
        """Return the output without its padding."""
        return self._padding.crop(output)

    def score(self, image: Tensor, draw: Draw) -> Score:
        """Return the difference from what is asked for."""
        assert draw.target is not None
        return score_difference(image - draw.target, draw.scored, self._plan.loss)
