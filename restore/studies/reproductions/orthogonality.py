"""scoRNN, scuRNN, ENRNN and NC-GRU: the recurrence stays orthogonal or unitary while it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from restore.cells import make_cell, project_
from restore.cells.jacobian import orthogonality_error
from restore.cells.parameter_groups import parameter_groups
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict

__all__ = ["CLAIMS", "drift"]

EXACT = 2e-5
"""Bound on the error in float32 at n = 128 where the inverse is exact: rounding."""

SERIES = 1e-3
"""Bound between two exact inverses where a Neumann series carries the inverse along."""

CASES: Mapping[str, tuple[str, Mapping[str, Any], float, float]] = {
    "scornn": ("W", {}, 0.1, EXACT),
    "scurnn": ("W", {}, 0.1, EXACT),
    "enrnn": ("W^L", {}, 0.1, EXACT),
    "ncgru": ("U_c", {}, 0.1, EXACT),
    "ncgru, Neumann order 2": ("U_c", {"neumann": 2, "neumann_reset": 100}, 0.1, SERIES),
}
"""Cell, symbol of its matrix, options, rate of the skew entries over the others', bound."""


def drift(name: str, size: int, steps: int, seed: int) -> list[float]:
    """Return the Frobenius norm of W^H W - I, in float32, after every ten Adam steps on random gradients.

    The other parameters learn at 1e-3, the skew entries at 1e-4.
    """
    symbol, options, ratio, _ = CASES[name]
    generator = torch.Generator().manual_seed(seed)
    cell = make_cell(name.partition(",")[0], size, generator=generator, **options)
    optimizer = torch.optim.Adam(parameter_groups(cell, 1e-3, skew=ratio))
    errors = []
    for step in range(1, steps + 1):
        matrix = cell.matrices()[symbol]
        direction = torch.randn(matrix.shape, generator=generator, dtype=matrix.dtype)
        optimizer.zero_grad(set_to_none=True)
        (matrix * direction.conj()).real.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        project_(cell)
        if step % 10 == 0:
            errors.append(orthogonality_error(cell.matrices()[symbol]))
    return errors


def measure(conditions: Conditions) -> Outcome:
    """Train every cell's matrix on random gradients."""
    size, steps = (64, 300) if conditions.quick else (128, 1000)
    errors = {name: drift(name, size, steps, conditions.seed) for name in CASES}
    met = all(max(found) <= CASES[name][3] for name, found in errors.items())
    return Outcome(
        measured={"size": size, "steps": steps, "worst_error": {name: max(found) for name, found in errors.items()}},
        threshold=f"||W^H W - I||_F at most {EXACT:g}; {SERIES:g} between resets of a Neumann series",
        verdict=Verdict.met if met else Verdict.not_reproduced,
        curves=[Curve(name, range(10, steps + 1, 10), found) for name, found in errors.items()],
        axes=("Adam step", "||W^H W - I||_F"),
        scales=("linear", "log"),
    )


CLAIMS = (
    Claim(
        name="orthogonality",
        text="With the scaled Cayley map the recurrence stays orthogonal or unitary through training, to rounding.",
        source="arXiv:1707.09520, arXiv:1811.04142, arXiv:1911.07964, arXiv:2208.06496",
        published=None,
        expected=Verdict.met,
        measure=measure,
    ),
)
