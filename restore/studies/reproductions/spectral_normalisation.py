"""ENRNN: does an input to the short-term state dissipate?"""

from __future__ import annotations

import torch
from torch import Tensor

from restore.cells import make_cell
from restore.cells.jacobian import spectral_radius
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict

__all__ = ["CLAIMS", "left_of_an_input", "trained"]

WHY = (
    "W = T / |lambda_1(T)| has the eigenvalues of T over the modulus of the largest one, so the largest eigenvalue of "
    "W has the modulus 1, not less: what an input puts in the leading pair of directions stays there for good, modReLU "
    "being the identity at a bias of 0, where it starts. Before the normalisation begins W = T, and an input does "
    "dissipate; a negative bias, if one is learned, makes it. A radius of at most 1 is what holds, and what bounds the "
    "gradient."
)

STEPS, WAIT = 200, 1000
"""Adam steps, and steps of the recurrence that an input is given to dissipate."""

LEFT = 1e-3
"""Part of an input below which it has dissipated."""


def trained(steps: int, seed: int) -> list[Tensor]:
    """Return W^S at first and after every Adam step that makes T larger, in float64."""
    generator = torch.Generator().manual_seed(seed)
    cell = make_cell("enrnn", 32, generator=generator, dtype=torch.float64)
    optimizer = torch.optim.Adam(cell.parameters(), lr=1e-2)
    direction = torch.randn(cell.matrices()["W^S"].shape, generator=generator, dtype=torch.float64)
    found = [cell.matrices()["W^S"].detach().clone()]
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        (cell.matrices()["W^S"] * direction).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        found.append(cell.matrices()["W^S"].detach().clone())
    return found


def left_of_an_input(matrix: Tensor, steps: int, seed: int) -> float:
    """Return |W^steps x| / |x| for a random x."""
    x = torch.randn(len(matrix), generator=torch.Generator().manual_seed(seed), dtype=matrix.dtype)
    return float((torch.linalg.matrix_power(matrix, steps) @ x).norm() / x.norm())


def measure(conditions: Conditions) -> Outcome:
    """Follow the radius through training, from before the normalisation begins to after it, and an input at both."""
    matrices = trained(STEPS, conditions.seed)
    radii = [spectral_radius(matrix) for matrix in matrices]
    left = [left_of_an_input(matrices[at], WAIT, conditions.seed) for at in (0, -1)]
    verdict = Verdict.not_reproduced
    if max(left) < LEFT:
        verdict = Verdict.met
    elif max(radii) <= 1 + 1e-9 and abs(radii[-1] - 1) < 1e-9:
        verdict = Verdict.refuted
    return Outcome(
        measured={
            "radius": {"at first": radii[0], "at last": radii[-1], "largest": max(radii)},
            f"left_of_an_input_after_{WAIT}_steps": {"at first": left[0], "at last": left[1]},
        },
        threshold=f"less than {LEFT:g} of an input is left after {WAIT} steps, before the normalisation and under it",
        verdict=verdict,
        curves=[Curve("spectral radius of W^S", range(STEPS + 1), radii)],
        axes=("Adam step", "spectral radius"),
        note=WHY if verdict is Verdict.refuted else "",
    )


CLAIMS = (
    Claim(
        name="spectral-normalisation",
        text="An input to the short-term state dissipates, since normalised eigenvalues lie in the unit disc.",
        source="arXiv:1911.07964",
        published=None,
        expected=Verdict.refuted,
        measure=measure,
    ),
)
