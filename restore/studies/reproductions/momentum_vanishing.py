"""MomentumRNN: does momentum keep the gradient of a recurrent network from vanishing?"""

from __future__ import annotations

import math

import torch

from restore.cells import unroll
from restore.cells.draws import orthogonal
from restore.cells.momentum import MomentumRNN
from restore.studies.claims import Claim, Conditions, Curve, Outcome, Verdict

__all__ = ["CLAIMS", "adjoints"]

SIZE, STEPS = 64, 100
CASES = {"without momentum": (0.0, 1.0), "momentum 0.6": (0.6, 0.6), "momentum 0.9": (0.9, 0.1)}
"""mu and s; the second one is published for MNIST, the third is the default of the released code."""

WHY = (
    "v_t = mu v_{t-1} + s W x_t is driven by the input alone, so h_t = tanh(U h_{t-1} + b + v_t) has the Jacobian "
    "dh_t/dh_{t-1} = S U, S = diag(1 - h_t^2), of a network without momentum: the gradient's way back through the "
    "hidden state only changes by how far tanh saturates. What is added is a second way, from an input through v, that "
    "shrinks by mu < 1 in every step whatever U is: a window on the input, 0.6^100 = 6.5e-23, 0.9^100 = 2.7e-5."
)


def adjoints(momentum: float, step_size: float, seed: int) -> tuple[list[float], list[float]]:
    """Return |dL/dh_t| and |dL/dv_t|, t = 1..T, for L = <w, h_T>, of a cell with an orthogonal U of gain 0.9."""
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
    """Compare how far the gradient shrinks on its way back through the hidden state, with and without momentum."""
    norms = {name: adjoints(*case, conditions.seed) for name, case in CASES.items()}
    through_h = {name: math.log10(hidden[0] / hidden[-1]) for name, (hidden, _) in norms.items()}
    through_v = {name: math.log10(velocity[0] / velocity[-1]) for name, (_, velocity) in norms.items()}
    plain = through_h["without momentum"]
    rescued = any(value > plain / 2 for value in through_h.values())
    return Outcome(
        measured={"decades_through_h": through_h, "decades_through_v": through_v},
        threshold="with momentum the gradient through h shrinks by less than half as many decades as without",
        verdict=Verdict.met if rescued else Verdict.refuted,
        curves=[
            *(Curve(f"{name}, dL/dh_t", range(1, STEPS + 1), hidden) for name, (hidden, _) in norms.items()),
            *(Curve(f"{name}, dL/dv_t", range(1, STEPS + 1), v, dashed=True) for name, (_, v) in norms.items()),
        ],
        axes=("t", "norm"),
        scales=("linear", "log"),
        note="" if rescued else WHY,
    )


CLAIMS = (
    Claim(
        name="momentum-vanishing",
        text="Momentum in the hidden state alleviates the vanishing gradient of a recurrent network.",
        source="arXiv:2006.06919",
        published=None,
        expected=Verdict.refuted,
        measure=measure,
    ),
)
