"""Stable limit-cycle networks: the gradient neither explodes nor vanishes along a stable cycle."""

from __future__ import annotations

import torch

from restore.cells.dynamics import set_parameters_
from restore.cells.jacobian import gradient_norms
from restore.cells.limitcycle import LimitCycle, rotations
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict

__all__ = ["CLAIMS", "adjoint_norms"]

STEPS = 1000
CASES = {"cycle, angle 0.5": (1.5, 0.5), "cycle, angle 0.8": (1.5, 0.8), "rest, S cos(angle) < 1": (1.5, 1.0)}
"""Gain S and angle of h' = tanh(S R(angle) h) - h; between pi/21.25 and arccos(1/S) = 0.841 it has a stable cycle."""


def adjoint_norms(gain: float, angle: float, seed: int) -> list[float]:
    """Return |dL/dh_t|, t = 0..1000, averaged over eight final directions, from a state on the attractor."""
    generator = torch.Generator().manual_seed(seed)
    cell = LimitCycle(2, form="tanh", dt=0.1, generator=generator, dtype=torch.float64)
    set_parameters_(cell, {"W": gain * rotations(torch.tensor([angle], dtype=torch.float64))})
    silence = torch.zeros(STEPS, 2, dtype=torch.float64)
    state = torch.tensor([0.3, 0.1], dtype=torch.float64)
    with torch.no_grad():
        for drive in silence:
            state = cell(drive, state)
    norms = torch.zeros(STEPS + 1, dtype=torch.float64)
    for functional in torch.randn(8, 2, generator=generator, dtype=torch.float64):
        norms += gradient_norms(cell, silence, functional / functional.norm(), state) / 8
    return norms.tolist()


def measure(conditions: Conditions) -> Outcome:
    """Compare the gradient after 1,000 steps back with that after 100."""
    norms = {name: adjoint_norms(*case, conditions.seed) for name, case in CASES.items()}
    ratios = {name: found[0] / found[STEPS - 100] for name, found in norms.items()}
    cycles = [ratio for name, ratio in ratios.items() if name.startswith("cycle")]
    met = all(0.1 <= ratio <= 10 for ratio in cycles) and ratios["rest, S cos(angle) < 1"] < 1e-3
    back = range(STEPS + 1)
    return Outcome(
        measured={"norm_after_1000_over_after_100": ratios},
        threshold="within a factor of 10 on the cycles; below 1e-3 where the network comes to rest",
        verdict=Verdict.met if met else Verdict.not_reproduced,
        curves=[Curve(name, back, found) for name, found in norms.items()],
        axes=("t", "|dL/dh_t|"),
        scales=("linear", "log"),
    )


CLAIMS = (
    Claim(
        name="limit-cycle-adjoint",
        text="Along a stable limit cycle the gradient of a recurrent network neither explodes nor vanishes.",
        source="doi:10.1109/IEEECONF44664.2019.9049080",
        published=None,
        expected=Verdict.met,
        measure=measure,
    ),
)
