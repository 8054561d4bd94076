"""Fixed points of a field: damped Newton from many starts."""

from __future__ import annotations

import torch
from torch import Tensor

from restore.cells.dynamics.vector_field import jacobians
from restore.cells.integration import Field
from restore.errors import UsageError

__all__ = ["find_fixed_points", "grid_starts", "newton"]

MOST_STARTS = 1_000_000


def grid_starts(dimensions: int, *, per_axis: int = 21, bound: float = 1.0) -> Tensor:
    """Return a regular grid over the cube [-bound, bound]^n as points (per_axis^n, n).

    >>> grid_starts(2, per_axis=3).shape
    torch.Size([9, 2])

    Raises UsageError where that is over a million points; draw starts at random instead.
    """
    if per_axis**dimensions > MOST_STARTS:
        raise UsageError(
            f"a grid of {per_axis} points an axis in {dimensions} dimensions is over {MOST_STARTS} points; "
            f"take fewer, or starts at random."
        )
    axis = torch.linspace(-bound, bound, per_axis, dtype=torch.float64)
    return torch.cartesian_prod(*[axis] * dimensions).reshape(-1, dimensions)


@torch.no_grad()
def newton(field: Field, starts: Tensor, *, steps: int = 60, tolerance: float = 1e-10) -> tuple[Tensor, Tensor]:
    """Return where damped Newton ends from every start (N, n), and whether it converged there (N,).

        h <- h + s d,    d = -J(h)^{-1} f(h),    s = 1, 1/2, ..., 2^-10: the first with |J(h)^{-1} f(h + s d)| < |d|

    It has converged where |d| <= tolerance: d measures the distance to the root, and, unlike |f|, is not made small by
    a gate that merely slows the field down. A start stays where no s will do, and where J is singular.
    """
    points = starts.double().clone()
    converged = torch.zeros(len(points), dtype=torch.bool)
    active = torch.arange(len(points))
    for _ in range(steps):
        moved, improved, done = _damped_step(field, points[active], tolerance)
        points[active] = moved
        converged[active] = done
        active = active[improved & ~done]
        if not len(active):
            break
    return points, converged


def _damped_step(field: Field, points: Tensor, tolerance: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return the points after one step, whether each of them moved, and whether it had converged before."""
    factors, pivots, failed = torch.linalg.lu_factor_ex(jacobians(field, points))

    def correction(trial: Tensor) -> Tensor:
        solution: Tensor = torch.linalg.lu_solve(factors, pivots, field(trial).unsqueeze(-1))
        return -solution.squeeze(-1)

    direction = correction(points)
    usable = (failed == 0) & direction.isfinite().all(dim=-1)
    length = direction.norm(dim=-1)
    done = usable & (length <= tolerance)
    moved = points.clone()
    improved = torch.zeros_like(done)
    for halving in range(11):
        trial = points + 0.5**halving * direction
        better = usable & ~improved & (correction(trial).norm(dim=-1) < length)
        moved[better] = trial[better]
        improved |= better
    return moved, improved, done


def find_fixed_points(field: Field, starts: Tensor, *, tolerance: float = 1e-10, separation: float = 1e-4) -> Tensor:
    """Return the distinct fixed points (k, n) that damped Newton reaches from `starts` (N, n), in lexical order.

    Two points nearer than `separation` count as one. Points that Newton cannot resolve to `tolerance` are left out: a
    field that is slow without being at rest has no fixed point there.

    >>> field = lambda h: h - h**3
    >>> find_fixed_points(field, grid_starts(1)).round(decimals=6) + 0.0
    tensor([[-1.],
            [ 0.],
            [ 1.]], dtype=torch.float64)
    """
    points, converged = newton(field, starts, tolerance=tolerance)
    remaining = points[converged]
    distinct = []
    while len(remaining):
        distinct.append(remaining[0])
        remaining = remaining[(remaining - remaining[0]).norm(dim=-1) > separation]
    if not distinct:
        return starts.new_zeros(0, starts.shape[-1], dtype=torch.float64)
    return torch.stack(sorted(distinct, key=lambda point: [round(value, 6) for value in point.tolist()]))
