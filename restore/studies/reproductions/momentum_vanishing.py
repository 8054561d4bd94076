"""MomentumRNN: does momentum keep the gradient of a recurrent network from vanishing?"""

from __future__ import annotations

import math

import torch

from restore.cells import unroll
from restore.cells.draws import orthogonal
from restore.cells.momentum import MomentumRNN
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict

__all__ = ["CLAIMS", "adjoints", "decades"]

SIZE, STEPS = 64, 100
CASES = {"without momentum": (0.0, 1.0), "momentum 0.6": (0.6, 0.6), "momentum 0.9": (0.9, 0.1)}
"""mu and s; the second one is published for MNIST, the third is the default of the released code."""

NOTE = (
    "The state is (h, v); its Jacobian [[S U, mu S], [0, mu I]], S = diag(1 - h_t^2), has the eigenvalues of S U and "
    "mu, so what reaches the inputs decays as the larger of |S U| and mu, to the power of t. It is eased where mu is "
    "larger than the contraction of S U and nowhere else, here with 0.9 and not with 0.6, and never by more than mu^t: "
    "a window on the input. The way back through h with v held, from which U learns, has the Jacobian S U of a network "
    "without momentum and shrinks as fast."
)


def adjoints(momentum: float, step_size: float, seed: int) -> tuple[list[float], list[float]]:
    """Return |dL/dh_t|, v held, and |dL/dx_t| over s, t = 1..T, for L = <w, h_T> and an orthogonal U of gain 0.9.

    dL/dx_t = s dL/dv_t, the drives x being what the input map returns.
    """
    generator = torch.Generator().manual_seed(seed)
    cell = MomentumRNN(SIZE, momentum=momentum, step_size=step_size, dtype=torch.float64)
    with torch.no_grad():
        cell.U.copy_(0.9 * orthogonal(SIZE, SIZE, generator))
    # The steady gain of the filter on a constant input is s / (1 - mu); here every case drives h equally hard.
    scale = 0.3 * (1 - momentum**2) ** 0.5 / step_size
    drives = scale * torch.randn(STEPS, SIZE, generator=generator, dtype=torch.float64)
    functional = torch.randn(SIZE, generator=generator, dtype=torch.float64)
    states = unroll(cell, drives.requires_grad_())  # so that v has a gradient too
    loss = (functional * states[-1].hidden).sum()
    hidden = torch.autograd.grad(loss, [state.hidden for state in states], retain_graph=True)
    velocity = torch.autograd.grad(loss, [state.velocity for state in states])
    return [part.norm().item() for part in hidden], [part.norm().item() for part in velocity]


def measure(conditions: Conditions) -> Outcome:
    """Compare how far the gradient shrinks on its way back to the inputs, with and without momentum."""
    norms = {name: adjoints(*case, conditions.seed) for name, case in CASES.items()}
    through_h = {name: decades(hidden) for name, (hidden, _) in norms.items()}
    to_inputs = {name: decades(velocity) for name, (_, velocity) in norms.items()}
    plain = to_inputs["without momentum"]
    eased = min(to_inputs.values()) < plain / 2
    return Outcome(
        measured={"decades_lost_to_inputs": to_inputs, "decades_lost_through_h": through_h},
        threshold=f"with one of these mu the gradient that reaches the inputs loses fewer than half of the {plain:.3g} "
        f"decades that it loses in {STEPS} steps without",
        verdict=Verdict.met if eased else Verdict.not_reproduced,
        curves=[
            *(Curve(f"{name}, dL/dv_t", range(1, STEPS + 1), v) for name, (_, v) in norms.items()),
            *(Curve(f"{name}, dL/dh_t", range(1, STEPS + 1), h, dashed=True) for name, (h, _) in norms.items()),
        ],
        axes=("t", "norm"),
        scales=("linear", "log"),
        note=NOTE,
    )


def decades(norms: list[float]) -> float:
    """Return by how many powers of ten the first of the norms is below the last."""
    return math.log10(norms[-1] / norms[0])


CLAIMS = (
    Claim(
        name="momentum-vanishing",
        text="Momentum alleviates the vanishing gradient of a recurrent network.",
        source="arXiv:2006.06919",
        published=None,
        expected=Verdict.met,
        measure=measure,
    ),
)
