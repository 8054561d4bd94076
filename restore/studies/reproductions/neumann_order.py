"""NC-GRU: the Neumann series of order p follows the inverse with an error of order p + 1."""

from __future__ import annotations

import numpy as np
import torch

from restore.cells.cayley import rotation_blocks, signs
from restore.cells.neumann import NeumannCayley
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict

__all__ = ["CLAIMS", "series_errors"]

SIZE = 64
CHANGES = tuple(10.0**exponent for exponent in (-1.0, -1.25, -1.5, -1.75, -2.0))
"""Frobenius norms of the change of A."""


def series_errors(order: int, seed: int) -> list[float]:
    """Return ||W - W_exact||_F after one change of A, for each of the `CHANGES`, in float64."""
    generator = torch.Generator().manual_seed(seed)
    start = rotation_blocks(SIZE, generator)
    noise = torch.randn(SIZE, SIZE, generator=generator, dtype=torch.float64)
    direction = (noise - noise.mT) / torch.linalg.matrix_norm(noise - noise.mT)
    identity = torch.eye(SIZE, dtype=torch.float64)
    errors = []
    for change in CHANGES:
        followed = NeumannCayley(signs(SIZE, SIZE // 2), order=order)
        followed.unscaled(start)  # the first inverse is exact
        skew = start + change * direction
        exact = torch.linalg.solve(identity + skew, identity - skew)
        errors.append(float(torch.linalg.matrix_norm(followed.unscaled(skew) - exact)))
    return errors


def measure(conditions: Conditions) -> Outcome:
    """Fit the slope of the error over the change on logarithmic axes, for the orders 1 to 3."""
    errors = {order: series_errors(order, conditions.seed) for order in (1, 2, 3)}
    slopes = {order: float(np.polyfit(np.log(CHANGES), np.log(found), 1)[0]) for order, found in errors.items()}
    met = all(abs(slope - (order + 1)) < 0.1 for order, slope in slopes.items())
    return Outcome(
        measured={"slopes": {f"order {order}": slope for order, slope in slopes.items()}},
        threshold="slopes p + 1 to within 0.1",
        verdict=Verdict.met if met else Verdict.not_reproduced,
        curves=[Curve(f"order {order}", CHANGES, found) for order, found in errors.items()],
        axes=("change of A (Frobenius norm)", "error of W"),
        scales=("log", "log"),
    )


CLAIMS = (
    Claim(
        name="neumann-order",
        text="A Neumann series of order p carries the inverse of the Cayley map along with an error of order p + 1.",
        source="arXiv:2208.06496",
        published=None,
        expected=Verdict.met,
        measure=measure,
    ),
)
