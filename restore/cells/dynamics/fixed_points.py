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
def newton(field: Field, starts: Tensor, *, steps: int = 60, tolerance: float = 1e-12) -> tuple[Tensor, Tensor]:
    """Return where damped Newton ends from every start (N, n), and whether |f| <= tolerance there (N,).

        h <- h - s J^{-1} f(h),    s = 1, 1/2, ..., 2^-10: the first that makes |f| smaller

    A start that no such step improves stays where it is. Where J is singular the step is -J^T f instead.
    """
    points = starts.double().clone()
    active = torch.arange(len(points))
    for _ in range(steps):
        speed = field(points[active]).norm(dim=-1)
        active = active[speed > tolerance]
        if not len(active):
            break
        moved, improved = _damped_step(field, points[active])
        points[active[improved]] = moved[improved]
        active = active[improved]
    return points, field(points).norm(dim=-1) <= tolerance


def _damped_step(field: Field, points: Tensor) -> tuple[Tensor, Tensor]:
    velocity = field(points)
    matrices = jacobians(field, points)
    direction, failed = torch.linalg.solve_ex(matrices, -velocity.unsqueeze(-1))
    unusable = (failed != 0) | ~direction.isfinite().all(dim=(-2, -1))
    direction[unusable] = (-matrices.mT @ velocity.unsqueeze(-1))[unusable]
    moved = points.clone()
    improved = torch.zeros(len(points), dtype=torch.bool)
    for halving in range(11):
        trial = points + 0.5**halving * direction.squeeze(-1)
        better = ~improved & (field(trial).norm(dim=-1) < velocity.norm(dim=-1))
        moved[better] = trial[better]
        improved |= better
    return moved, improved


def find_fixed_points(field: Field, starts: Tensor, *, tolerance: float = 1e-12, separation: float = 1e-4) -> Tensor:
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
