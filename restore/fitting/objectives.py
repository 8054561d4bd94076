"""Objectives: what the network is shown in a step, and what its output is scored on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from restore.errors import UsageError
from restore.fitting.draws import Draw, Score, score_difference
from restore.fitting.fills import fill_biharmonic, fill_from_neighbours
from restore.fitting.masking import Masked, Masking, PreparedFills, RandomPixels
from restore.fitting.recorrupted import Recorrupted
from restore.priors import Prior
from restore.problems.padding import Padding
from restore.problems.problem import Problem
from restore.settings import Plan

__all__ = [
    "BlindSpot",
    "Draw",
    "FixedCode",
    "Objective",
    "Score",
    "cannot_see_pictures",
    "choose_held_out",
    "input_channels",
    "make_objective",
]

PREPARED = 24
"""Maskings filled beforehand for an inpainting fit whose hole is made of strokes or patches."""


class Objective(Protocol):
    """Draws what a step shows, makes an image of the network's output, scores it.

    Attributes:
        generators: all that its draws come from.
    """

    generators: Sequence[torch.Generator]

    def draw(self) -> Draw:
        """Return what the next step shows and scores."""
        ...

    def image(self, output: Tensor, draw: Draw) -> Tensor:
        """Return the image (1, C, H, W) that the network's padded `output` stands for."""
        ...

    def score(self, image: Tensor, draw: Draw) -> Score:
        """Return the loss of the `image`."""
        ...


class FixedCode:
    """`fit`: a fixed code goes in, the data misfit |A x - y| comes out. Source: arXiv:1711.10925.

    Each step adds Gaussian noise of standard deviation `plan.code_noise` to the code.
    """

    def __init__(
        self, problem: Problem, plan: Plan, prior: Prior, padding: Padding, held_out: Tensor, generator: torch.Generator
    ) -> None:
        self._problem, self._plan, self._padding, self._generator = problem, plan, padding, generator
        self.generators: Sequence[torch.Generator] = (generator,)
        self._scored = (problem.known & ~held_out).float()
        code = _meshgrid(padding.padded) if plan.code == "meshgrid" else prior.code(padding.padded, generator)
        self._code = code.to(problem.measurement.device)
        self._context: Tensor | None = None
        if plan.refine == "estimate":  # under `fit` only where pixels are missing: everything scored may be seen
            filled = fill_from_neighbours(problem.measurement, self._scored)
            self._context = padding.pad(torch.cat([filled, self._scored], dim=1))

    def draw(self) -> Draw:
        """Return the code, perturbed."""
        code = self._code
        if self._plan.code_noise > 0:
            noise = torch.randn(code.shape, generator=self._generator, device=code.device)
            code = code + self._plan.code_noise * noise
        return Draw(code, None, self._scored, self._context)

    def image(self, output: Tensor, draw: Draw) -> Tensor:
        """Return the output without its padding."""
        return self._padding.crop(output)

    def score(self, image: Tensor, draw: Draw) -> Score:
        """Return the misfit of the scored measurements."""
        difference = self._problem.operator.A(image) - self._problem.measurement
        return score_difference(difference, draw.scored, self._plan.loss)


class BlindSpot:
    """`blindspot`: shown a measurement with pixels hidden and filled, scored only on the hidden ones.

    A network that never sees a pixel cannot learn its noise, as long as the noise of other pixels says nothing about
    it. So the noise must be independent between pixels. Source of the idea: Noise2Self, arXiv:1901.11365; Noise2Void,
    arXiv:1811.10980.
    """

    def __init__(self, problem: Problem, plan: Plan, padding: Padding, masking: Masking) -> None:
        self._problem, self._plan, self._padding, self._masking = problem, plan, padding, masking
        self.generators: Sequence[torch.Generator] = (masking.generator,)

    def draw(self) -> Draw:
        """Return the next masking of the measurement."""
        return self._draw(self._masking())

    def looks(self) -> list[Draw]:
        """Return the measurement as it is, its hole filled; of use where the network has not seen what it must fill."""
        return [self._draw(self._masking.whole())]

    def usual(self) -> Draw:
        """Return a masking that hides the mean share of pixels."""
        return self._draw(self._masking.usual())

    def _draw(self, masked: Masked) -> Draw:
        base = masked.shown if self._plan.residual else None
        if self._problem.kind != "inpaint" and self._plan.refine != "estimate":
            return Draw(self._padding.pad(masked.shown), base, masked.scored)
        context = self._padding.pad(torch.cat([masked.shown, masked.visible], dim=1))
        shown = context if self._problem.kind == "inpaint" else context[:, :-1]
        return Draw(shown, base, masked.scored, context if self._plan.refine == "estimate" else None)

    def image(self, output: Tensor, draw: Draw) -> Tensor:
        """Return the output without its padding, added to the fill if the plan says so."""
        image = self._padding.crop(output)
        return image if draw.base is None else image + draw.base

    def score(self, image: Tensor, draw: Draw) -> Score:
        """Return the error on the hidden pixels."""
        return score_difference(image - self._problem.measurement, draw.scored, self._plan.loss)


def input_channels(problem: Problem, plan: Plan) -> int:
    """Return how many channels the network's input has under the plan's objective."""
    if plan.objective == "fit":
        return 2 if plan.code == "meshgrid" else plan.code_channels
    return problem.channels + (problem.kind == "inpaint")


def choose_held_out(known: Tensor, fraction: float, generator: torch.Generator) -> Tensor:
    """Return bool (1, 1, H, W): a random `fraction` of the `known` pixels."""
    draw = torch.rand(known.shape, generator=generator, device=known.device)
    return known & (draw < fraction)


def make_objective(
    problem: Problem, plan: Plan, prior: Prior, padding: Padding, held_out: Tensor, generator: torch.Generator
) -> Objective:
    """Return the plan's objective.

    Raises UsageError for a prior that cannot be shown a picture, where the objective shows it one.
    """
    if plan.objective == "fit":
        return FixedCode(problem, plan, prior, padding, held_out, generator)
    if not prior.sees_pictures:
        raise cannot_see_pictures(plan.prior, plan.objective)
    if plan.objective == "recorrupted":
        return Recorrupted(problem, plan, padding, held_out, generator)
    masking: Masking
    if problem.kind != "inpaint":
        masking = RandomPixels(problem.measurement, problem.known, held_out, plan.hidden, generator)
    elif plan.hidden_spread > 0:
        ends = (plan.hidden - plan.hidden_spread, plan.hidden + plan.hidden_spread)
        masking = RandomPixels(problem.measurement, problem.known, held_out, ends, generator, fill_biharmonic)
    else:
        cpu = generator if generator.device.type == "cpu" else torch.Generator().manual_seed(generator.initial_seed())
        masking = PreparedFills(problem.measurement, problem.known, held_out, plan.hidden, PREPARED, cpu)
    return BlindSpot(problem, plan, padding, masking)


def cannot_see_pictures(prior: str, objective: str = "blindspot") -> UsageError:
    """Return the error for a prior that only takes a small code, under an objective that shows it a picture."""
    return UsageError(
        f"objective {objective!r} shows the network a picture, but the prior {prior!r} only takes a small code: "
        "use --objective fit, or --prior hourglass or dip."
    )


def _meshgrid(size: tuple[int, int]) -> Tensor:
    rows, columns = (torch.linspace(0, 1, n) for n in size)
    vertical, horizontal = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([horizontal, vertical])[None]
