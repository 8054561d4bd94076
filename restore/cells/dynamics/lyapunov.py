"""Lyapunov exponents of a map: how fast nearby states part."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from restore.cells.dynamics.vector_field import jacobians

__all__ = ["lyapunov_exponents"]


@torch.no_grad()
def lyapunov_exponents(
    step: Callable[[Tensor], Tensor], start: Tensor, *, steps: int = 10_000, transient: int = 1_000
) -> Tensor:
    """Return the Lyapunov exponents (n,) of the map h -> step(h) along its orbit from `start` (n,), largest first.

    They are in nats a step: positive for chaos, 0 along a limit cycle of a flow, negative towards a fixed point. The
    tangent frame is carried by the Jacobians and orthonormalised by QR at every step (Benettin et al.,
    doi:10.1007/BF02128236); the exponents are the means of log |R_ii|. An exact contraction to a point gives -inf.

    >>> lyapunov_exponents(lambda h: h * torch.tensor([0.5, 2.0]), torch.zeros(2), steps=10).tolist()
    [0.6931471805599453, -0.6931471805599453]
    """
    state = start.double()
    for _ in range(transient):
        state = step(state)
    states = []
    for _ in range(steps):
        states.append(state)
        state = step(state)
    frame = torch.eye(state.shape[-1], dtype=torch.float64)
    total = torch.zeros(state.shape[-1], dtype=torch.float64)
    for jacobian in jacobians(step, torch.stack(states)):
        frame, triangle = torch.linalg.qr(jacobian @ frame)
        total += triangle.diagonal().abs().log()
    return (total / steps).sort(descending=True).values
