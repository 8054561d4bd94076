"""Limit cycles of a field: period, monodromy matrix and Floquet multipliers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from restore.cells.dynamics.vector_field import flow, jacobians, rk4_map, trajectory
from restore.cells.integration import Field, rk4_step

__all__ = ["LimitCycleOrbit", "find_limit_cycle", "find_limit_cycles", "monodromy"]


@dataclass(frozen=True)
class LimitCycleOrbit:
    """A closed orbit of a field.

    Attributes:
        period: T, in units of time. orbit: (steps + 1, n), equally spaced in time; the last point is the first again.
        monodromy: (n, n), the derivative of the flow over one period at the first point. multipliers: (n,) complex, the
        eigenvalues of the monodromy matrix, the one along the flow first (it is 1), the others
            by falling modulus.
    """

    period: float
    orbit: Tensor
    monodromy: Tensor
    multipliers: Tensor

    @property
    def stable(self) -> bool:
        """Whether every multiplier but the one along the flow is inside the unit circle."""
        return bool((self.multipliers[1:].abs() < 1).all())


def monodromy(field: Field, orbit: Tensor, period: float) -> Tensor:
    """Return the derivative (n, n) of the flow over an orbit (steps + 1, n) sampled at equal times.

    It is the exact derivative of the Runge-Kutta steps between the samples, M = J_steps ... J_1.
    """
    dt = period / (len(orbit) - 1)
    product = torch.eye(orbit.shape[-1], dtype=torch.float64)
    for jacobian in jacobians(rk4_map(field, dt), orbit[:-1]):
        product = jacobian @ product
    return product


def find_limit_cycle(
    field: Field,
    start: Tensor,
    *,
    transient: float = 200.0,
    longest: float = 200.0,
    dt: float = 0.05,
    steps: int = 1000,
) -> LimitCycleOrbit | None:
    """Return the closed orbit that the field settles on from `start` (n,), or None where it settles on none.

    After the transient, the first return to the plane through the state, across the flow, gives a guess at the period;
    Newton's method on phi_T(h) = h with the phase fixed makes the orbit closed to rounding. Found are stable orbits of
    a period of at most `longest`.

    Args:
        field: the vector field.
        start: where to start.
        transient: time to settle.
        longest: longest period to look for.
        dt: step before Newton's method.
        steps: Runge-Kutta steps a period, in Newton's method and in the orbit that is returned.

    >>> radial = lambda h: h * (1 - h.square().sum(-1, keepdim=True)) + torch.stack((-h[..., 1], h[..., 0]), -1)
    >>> cycle = find_limit_cycle(radial, torch.tensor([0.1, 0.0]), transient=20.0)
    >>> f"{cycle.period:.6f}"  # 2 pi
    '6.283185'
    """
    settled = flow(field, start, transient, round(transient / dt))
    return _close(field, settled, longest, dt, steps)


def find_limit_cycles(
    field: Field,
    starts: Tensor,
    *,
    transient: float = 200.0,
    longest: float = 200.0,
    dt: float = 0.05,
    steps: int = 1000,
) -> list[LimitCycleOrbit]:
    """Return the distinct stable orbits that the field settles on from `starts` (N, n), the shortest period first.

    See `find_limit_cycle`. In the plane, the unstable orbits of a field are the stable ones of its reverse, -f.
    """
    cycles: list[LimitCycleOrbit] = []
    if not len(starts):
        return cycles
    for settled in flow(field, starts, transient, round(transient / dt)):
        if _is_on_any(settled, cycles):
            continue
        cycle = _close(field, settled, longest, dt, steps)
        if cycle is not None and cycle.stable and not _is_on_any(cycle.orbit[0], cycles):
            cycles.append(cycle)
    return sorted(cycles, key=lambda cycle: cycle.period)


@torch.no_grad()
def _close(field: Field, settled: Tensor, longest: float, dt: float, steps: int) -> LimitCycleOrbit | None:
    guess = _first_return(field, settled, longest, dt)
    if guess is None:
        return None
    start, period = guess
    orbit = trajectory(field, start, period, steps)
    for _ in range(12):
        matrix = monodromy(field, orbit, period)
        if _gap(orbit) < 1e-11 * (1 + _extent(orbit)):
            return _orbit(field, orbit, period, matrix)
        step = _newton_step(field, start, orbit[-1], matrix)
        if step is None:
            return None
        for scale in (1.0, 0.5, 0.25):
            trial_start, trial_period = start + scale * step[:-1], period + scale * float(step[-1])
            trial = trajectory(field, trial_start, trial_period, steps)
            if dt < trial_period <= longest and _gap(trial) < (1 - scale / 2) * _gap(orbit):
                break
        else:
            return None
        start, period, orbit = trial_start, trial_period, trial
    return None


def _first_return(field: Field, settled: Tensor, longest: float, dt: float) -> tuple[Tensor, float] | None:
    """Return the fastest point of the first return to the plane across the flow, and the time that it took."""
    normal = field(settled)
    if not 1e-9 < float(normal.norm()) < float("inf"):
        return None
    states = [settled]
    before = farthest = 0.0
    for count in range(round(longest / dt)):
        states.append(rk4_step(field, states[-1], dt))
        offset = states[-1] - settled
        after, distance = float(normal @ offset), float(offset.norm())
        farthest = max(farthest, distance)
        if before < 0 <= after and distance < farthest / 4:
            path = torch.stack(states)
            return path[field(path).norm(dim=-1).argmax()], (count - before / (after - before)) * dt
        before = after
    return None


def _newton_step(field: Field, start: Tensor, end: Tensor, matrix: Tensor) -> Tensor | None:
    """Return the change of (h, T) from phi_T(h) = h and f(h) . dh = 0, linearised."""
    size = len(start)
    system = torch.zeros(size + 1, size + 1, dtype=torch.float64)
    system[:size, :size] = matrix - torch.eye(size, dtype=torch.float64)
    system[:size, size] = field(end)
    system[size, :size] = field(start)
    step, failed = torch.linalg.solve_ex(system, torch.cat((start - end, start.new_zeros(1))))
    return None if failed or not step.isfinite().all() else step


def _orbit(field: Field, orbit: Tensor, period: float, matrix: Tensor) -> LimitCycleOrbit | None:
    if _extent(orbit) < 1e-4:
        return None  # Newton's method fell on a fixed point, which "returns" after any time.
    multipliers = torch.linalg.eigvals(matrix)
    along = (multipliers - 1).abs().argmin()
    order = multipliers.abs().argsort(descending=True).tolist()
    order = [int(along), *(index for index in order if index != along)]
    return LimitCycleOrbit(period, orbit, matrix, multipliers[order])


def _gap(orbit: Tensor) -> float:
    return float((orbit[-1] - orbit[0]).norm())


def _extent(orbit: Tensor) -> float:
    return float((orbit.amax(dim=0) - orbit.amin(dim=0)).norm())


def _is_on_any(point: Tensor, cycles: list[LimitCycleOrbit]) -> bool:
    return any(float((cycle.orbit - point).norm(dim=-1).min()) < 1e-2 * _extent(cycle.orbit) for cycle in cycles)
