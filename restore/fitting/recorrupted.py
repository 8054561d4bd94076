"""The objective for noise whose strength is known: shown is more noise, asked for is other noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from restore.errors import UsageError
from restore.fitting.draws import Draw, Score, score_difference
from restore.fitting.fills import fill_from_neighbours
from restore.problems.padding import Padding
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = ["RECORRUPTION", "Recorrupted"]

RECORRUPTION = 1.0
"""The weight tau of the noise added to what is shown; what is asked for has 1 / tau of it."""

WHITE_RECORRUPTION = 0.7
"""The same for white noise."""

CLIPPED = 0.95
"""Part of the noise's deviation that clipping must leave where the error is estimated."""

FEWEST_JUDGED = 64
"""Values without which clipped ones are taken too."""


class Recorrupted:
    """`recorrupted`: the measurement with more of its own noise is shown, the measurement with less of it is asked for.

        shown = y + tau z,    asked for = y - z / tau,    z ~ N(0, Sigma), drawn anew in every step

    Where the noise n of y has the covariance Sigma, that of the two is cov(n + tau z, n - z / tau) = Sigma - Sigma = 0:
    what is asked for tells the network nothing of the noise that it is shown, whatever neighbours know of each other.
    Source: Pang, Zheng, Quan and Ji, Recorrupted-to-Recorrupted, CVPR 2021, pages 2043 to 2052.

    White noise of a known level has Sigma diagonal. Then pixels can be held out: filled from their neighbours in every
    step, and never scored. When the network is shown them all the same, in `looks` that it does not learn from, the
    covariance of its image x(y) with the noise of theirs is the mean of x(y + tau z) z / tau, as in Stein's estimate
    of the risk (doi:10.1214/aos/1176345632); it says what their error is, mean |x - y|^2 - sigma^2 + 2 cov, without a
    reference. Two looks whose noise is opposite leave little of it to chance.

    Some pixels may be hidden as well, and those alone be scored, as in `blindspot`: that keeps out what is left of the
    noise where the covariance is too small.

    Args:
        problem: with the `covariance` or the `level` of its noise.
        plan, padding: of the fit.
        held_out: bool (1, 1, H, W), pixels that are neither shown nor scored.
        generator: of the device of the measurement.

    Attributes:
        variance: of the noise at each pixel, (1, C, H, W), where it is white; otherwise None.
        judged: bool (1, C, H, W), the held-out values whose noise was hardly clipped, and so is Gaussian as z is.
        roughness: how far held-out pixels lie from the mean of their neighbours, noise apart, in its deviations.

    Raises UsageError for a problem without either.
    """

    def __init__(
        self, problem: Problem, plan: Plan, padding: Padding, held_out: Tensor, generator: torch.Generator
    ) -> None:
        if problem.covariance is None and problem.level is None:
            raise UsageError(
                "objective 'recorrupted' needs to know the noise, and this picture does not tell: "
                "use --objective blindspot."
            )
        self._plan, self._padding, self._generator = plan, padding, generator
        self.generators: Sequence[torch.Generator] = (generator,)
        self._measurement = measurement = problem.measurement
        self._known = problem.known.float()
        self._scored = (problem.known & ~held_out).float()
        self.variance: Tensor | None = None
        self.roughness = 0.0
        self._tau = RECORRUPTION if problem.covariance is not None else WHITE_RECORRUPTION
        self.judged = held_out.expand_as(measurement)
        if problem.covariance is not None:
            root = torch.from_numpy(problem.covariance.root(problem.size))
            self._root = root.to(measurement.device, torch.complex64)
            visible = fill_from_neighbours(measurement, self._known)[0].cpu().numpy()
            self._gain = torch.from_numpy(problem.covariance.gain(visible))[None].to(measurement.device)
        elif problem.level is not None:
            # Of the strength too the held-out pixels must tell nothing.
            filled = fill_from_neighbours(measurement, self._scored)
            pixels = filled[0].cpu().numpy()
            self._level = torch.from_numpy(problem.level.at(pixels))[None].to(measurement.device)
            self.variance = self._level.square()
            whole = torch.from_numpy(problem.level.kept(pixels) > CLIPPED)[None].to(measurement.device)
            if int((self.judged & whole).sum()) >= FEWEST_JUDGED:
                self.judged = self.judged & whole
            self.roughness = self._roughness(filled)

    def draw(self) -> Draw:
        """Return the measurement with more noise, and what is asked for."""
        noise = self.noise()
        scored = visible = self._scored
        if self.variance is None:
            visible = self._known  # a network that is judged by nothing may see all
        if self._plan.hidden > 0:
            draw = torch.rand(scored.shape, generator=self._generator, device=noise.device)
            scored = scored * (draw < self._plan.hidden)
            visible = visible - scored
        return self._pair(noise, visible, scored)

    def looks(self) -> list[Draw]:
        """Return the measurement with more noise and with its opposite, the held-out pixels among the others."""
        noise = self.noise()
        return [self._pair(each, self._known, self._scored) for each in (noise, -noise)]

    def _pair(self, noise: Tensor, visible: Tensor, scored: Tensor) -> Draw:
        """Return what is shown and asked for with this new noise, where only the `visible` pixels are to be seen.

        Others are filled when the noise is added: a mean of neighbours without it would tell of theirs.
        """
        shown = fill_from_neighbours(self._measurement + self._tau * noise, visible)
        return Draw(self._padding.pad(shown), None, scored, target=self._measurement - noise / self._tau)

    def _roughness(self, filled: Tensor) -> float:
        if not bool(self.judged.any()):
            return 0.0
        assert self.variance is not None
        noise = self.variance[self.judged].mean().item() * (1 + 1 / 8)  # a mean of eight has an eighth of it
        difference = (filled - self._measurement)[self.judged]
        return math.sqrt(max(0.0, difference.square().mean().item() / noise - 1))

    def noise(self) -> Tensor:
        """Return noise (1, C, H, W) of the level, or of the covariance on a torus times its gain by the light."""
        shape = self._measurement.shape
        white = torch.randn(shape, generator=self._generator, device=self._measurement.device)
        if self.variance is not None:
            return white * self._level
        spectrum = torch.einsum("hwij,jhw->ihw", self._root, torch.fft.fft2(white[0]))
        noise: Tensor = torch.fft.ifft2(spectrum).real[None] * self._gain
        return noise

    def image(self, output: Tensor, draw: Draw) -> Tensor:
        """Return the output without its padding."""
        return self._padding.crop(output)

    def score(self, image: Tensor, draw: Draw) -> Score:
        """Return the difference from what is asked for."""
        assert draw.target is not None
        return score_difference(image - draw.target, draw.scored, self._plan.loss)

    def covariance(self, images: Sequence[Tensor], looks: Sequence[Draw]) -> Tensor:
        """Return the covariance of the images of two opposite `looks` with the noise of the judged values."""
        first = looks[0]
        assert first.target is not None
        added = self._measurement - first.target  # z / tau
        return ((images[0] - images[1]) * added / 2)[self.judged].mean()
