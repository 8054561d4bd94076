"""The adjoint equation: how the gradient of a loss travels back along a solution."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from restore.cells.dynamics.vector_field import jacobians, trajectory
from restore.cells.integration import Field

__all__ = ["adjoint_of_flow", "adjoint_of_map"]


@torch.no_grad()
def adjoint_of_flow(field: Field, start: Tensor, final: Tensor, time: float, steps: int) -> tuple[Tensor, Tensor]:
    """Solve the adjoint equation along the solution from `start`, backwards from `final`.

        lambda' = -(df/dh)^T lambda,    lambda(T) = dL/dh(T)    =>    lambda(t) = dL/dh(t)

    <lambda, f> is constant on the way; on a limit cycle lambda tends to a periodic solution, its phase response curve.
    Classical Runge-Kutta both ways.

    Args:
        field: the vector field.
        start: h(0), (n,).
        final: lambda(T), (..., n); every one is carried back.
        time: T.
        steps: steps of the backward pass; the forward pass takes twice as many.

    Returns h(t) (steps + 1, n) and lambda(t) (steps + 1, ..., n), both forward in time.
    """
    fine = trajectory(field, start, time, 2 * steps)
    dt = time / steps
    adjoints = [final.double()]
    # A row vector lambda^T J is (J^T lambda)^T, so that any number of adjoints go back together.
    matrices = jacobians(field, fine)
    for index in range(2 * steps, 0, -2):
        late, middle, early = matrices[index], matrices[index - 1], matrices[index - 2]
        last = adjoints[-1]
        first = last @ late
        second = (last + dt / 2 * first) @ middle
        third = (last + dt / 2 * second) @ middle
        fourth = (last + dt * third) @ early
        adjoints.append(last + dt / 6 * (first + 2 * second + 2 * third + fourth))
    return fine[::2], torch.stack(adjoints[::-1])


@torch.no_grad()
def adjoint_of_map(step: Callable[[Tensor], Tensor], start: Tensor, final: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """Carry `final` (..., n) back along `steps` iterates of a map from `start` (n,): backpropagation through time.

        lambda_{t-1} = (dh_t/dh_{t-1})^T lambda_t

    Returns h_t (steps + 1, n) and lambda_t (steps + 1, ..., n), both forward in time.
    """
    states = [start.double()]
    for _ in range(steps):
        states.append(step(states[-1]))
    path = torch.stack(states)
    adjoints = [final.double()]
    for jacobian in jacobians(step, path[:-1]).flip(0):
        adjoints.append(adjoints[-1] @ jacobian)
    return path, torch.stack(adjoints[::-1])
