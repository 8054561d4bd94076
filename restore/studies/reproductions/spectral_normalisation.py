"""ENRNN: is the spectral radius of the short-term recurrence below 1?"""

from __future__ import annotations

import torch

from restore.cells import make_cell
from restore.cells.jacobian import spectral_radius
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict

__all__ = ["CLAIMS", "radii"]

WHY = (
    "W = T / |lambda_1(T)| has the eigenvalues of T over the modulus of the largest one, so the largest eigenvalue of "
    "W has the modulus 1, not less: the leading pair of directions of the short-term state does not forget. Before the "
    "normalisation begins W = T, and only then can the radius be below 1. At most 1 is what holds, and what bounds the "
    "gradient."
)


def radii(steps: int, seed: int) -> list[float]:
    """Return the spectral radius of W^S after every Adam step that makes T larger, in float64."""
    generator = torch.Generator().manual_seed(seed)
    cell = make_cell("enrnn", 32, generator=generator, dtype=torch.float64)
    optimizer = torch.optim.Adam(cell.parameters(), lr=1e-2)
    direction = torch.randn(cell.matrices()["W^S"].shape, generator=generator, dtype=torch.float64)
    found = [spectral_radius(cell.matrices()["W^S"])]
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        (cell.matrices()["W^S"] * direction).sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        found.append(spectral_radius(cell.matrices()["W^S"]))
    return found


def measure(conditions: Conditions) -> Outcome:
    """Follow the radius through training, from before the normalisation sets in to after it."""
    steps = 200
    found = radii(steps, conditions.seed)
    bounded = max(found) <= 1 + 1e-9
    at_one = abs(found[-1] - 1) < 1e-9
    verdict = Verdict.not_reproduced
    if bounded:
        verdict = Verdict.refuted if at_one else Verdict.met
    return Outcome(
        measured={"radius_at_first": found[0], "radius_at_last": found[-1], "largest_radius": max(found)},
        threshold="below 1 throughout",
        verdict=verdict,
        curves=[Curve("spectral radius of W^S", range(steps + 1), found)],
        axes=("Adam step", "spectral radius"),
        note=WHY if verdict is Verdict.refuted else "",
    )


CLAIMS = (
    Claim(
        name="spectral-normalisation",
        text="The eigenvalue normalisation keeps the spectral radius of the short-term recurrence below 1.",
        source="arXiv:1911.07964",
        published=None,
        expected=Verdict.refuted,
        measure=measure,
    ),
)
