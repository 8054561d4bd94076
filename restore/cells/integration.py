"""One step of a vector field h' = f(h): Euler's and the classical fourth-order Runge-Kutta method."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

__all__ = ["INTEGRATORS", "Field", "euler_step", "rk4_step"]

Field: TypeAlias = Callable[[Tensor], Tensor]
"""A vector field h -> dh/dt, (..., n) to (..., n), that acts on every row of a batch alone."""


def euler_step(field: Field, state: Tensor, dt: float) -> Tensor:
    """Return h + dt f(h); the error of a step is O(dt^2)."""
    return state + dt * field(state)


def rk4_step(field: Field, state: Tensor, dt: float) -> Tensor:
    """Return the state after `dt` by the classical Runge-Kutta method; the error of a step is O(dt^5).

    >>> import torch
    >>> f"{float(rk4_step(lambda h: -h, torch.ones((), dtype=torch.float64), 0.1)):.6f}"  # exp(-0.1) is 0.904837
    '0.904837'
    """
    first = field(state)
    second = field(state + dt / 2 * first)
    third = field(state + dt / 2 * second)
    fourth = field(state + dt * third)
    return state + dt / 6 * (first + 2 * second + 2 * third + fourth)


INTEGRATORS: dict[str, Callable[[Field, Tensor, float], Tensor]] = {"euler": euler_step, "rk4": rk4_step}
