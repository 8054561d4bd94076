"""The phase plane of a two-dimensional field as data: velocities, nullclines, orbits, fixed points and cycles."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from restore.cells.dynamics.classification import FixedPoint, classify
from restore.cells.dynamics.fixed_points import find_fixed_points, grid_starts
from restore.cells.dynamics.limit_cycles import LimitCycleOrbit, find_limit_cycles
from restore.cells.dynamics.vector_field import trajectory
from restore.cells.integration import Field
from restore.errors import UsageError

__all__ = ["PhasePortrait", "nullclines", "phase_portrait"]


@dataclass(frozen=True)
class PhasePortrait:
    """Everything that a drawing of a phase plane needs.

    Attributes:
        axis: (m,) the coordinates of the grid, the same on both axes.
        velocity: (m, m, 2), dh/dt at h = (axis[column], axis[row]).
        nullclines: for either component of dh/dt, the curves (k, 2) on which it is zero.
        orbits: (steps + 1, N, 2), solutions from N starts.
        fixed_points: with their kinds.
        cycles: the stable limit cycles.
    """

    axis: Tensor
    velocity: Tensor
    nullclines: tuple[list[Tensor], list[Tensor]]
    orbits: Tensor
    fixed_points: list[FixedPoint]
    cycles: list[LimitCycleOrbit]


def phase_portrait(
    field: Field, *, bound: float = 1.2, resolution: int = 61, time: float = 30.0, steps: int = 600, per_axis: int = 5
) -> PhasePortrait:
    """Return the phase plane of a field on the square [-bound, bound]^2.

    Args:
        field: of two dimensions.
        bound: half the side of the square.
        resolution: points of the grid along an axis.
        time: length of the orbits.
        steps: of the orbits.
        per_axis: starts along an axis, of the orbits and of the search for cycles.

    Raises UsageError where the field is not two-dimensional.
    """
    axis = torch.linspace(-bound, bound, resolution, dtype=torch.float64)
    starts = grid_starts(2, per_axis=per_axis, bound=bound)
    return PhasePortrait(
        axis=axis,
        velocity=_on_grid(field, axis),
        nullclines=nullclines(field, bound=bound, resolution=4 * resolution),
        orbits=trajectory(field, starts, time, steps),
        fixed_points=classify(field, find_fixed_points(field, grid_starts(2, bound=bound))),
        cycles=find_limit_cycles(field, starts),
    )


def nullclines(field: Field, *, bound: float = 1.2, resolution: int = 241) -> tuple[list[Tensor], list[Tensor]]:
    """Return, for either component of a two-dimensional field, the curves (k, 2) on which it is zero.

    The curves are level lines on a grid, interpolated linearly: off by the square of the grid's spacing.

    >>> horizontal, vertical = nullclines(lambda h: torch.stack((h[..., 1] - 0.5, h[..., 0]), -1), resolution=9)
    >>> len(horizontal), len(vertical)
    (1, 1)
    >>> bool((horizontal[0][:, 1] == 0.5).all())
    True

    Raises UsageError where the field is not two-dimensional.
    """
    from skimage.measure import find_contours  # loads scipy, which no other part of the cells needs

    axis = torch.linspace(-bound, bound, resolution, dtype=torch.float64)
    velocity = _on_grid(field, axis)
    spacing = 2 * bound / (resolution - 1)

    def curves(component: Tensor) -> list[Tensor]:
        found = find_contours(component.numpy(), 0.0)  # type: ignore[no-untyped-call]
        return [torch.from_numpy(curve[:, ::-1].copy()) * spacing - bound for curve in found]

    return curves(velocity[..., 0]), curves(velocity[..., 1])


@torch.no_grad()
def _on_grid(field: Field, axis: Tensor) -> Tensor:
    points = torch.cartesian_prod(axis, axis).reshape(len(axis), len(axis), 2).flip(-1)
    try:
        velocity = field(points)
    except RuntimeError as error:
        message = f"a phase plane needs a field of two dimensions: choose a cell of size 2 ({error})."
        raise UsageError(message) from error
    if velocity.shape != points.shape:
        raise UsageError(f"a phase plane needs a field of two dimensions, got one of {velocity.shape[-1]}.")
    return velocity
