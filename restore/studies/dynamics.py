"""What a continuous-time cell does when it is left alone: where it rests or oscillates, and what changes that."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from restore.cells.ctgru import CTGRU
from restore.cells.dynamics import (
    Bifurcation,
    FixedPoint,
    LimitCycleOrbit,
    PhasePortrait,
    Snapshot,
    autonomous,
    bifurcations,
    classify,
    find_fixed_points,
    find_limit_cycles,
    grid_starts,
    locate,
    lyapunov_exponents,
    phase_portrait,
    scan,
    step_map,
)
from restore.cells.limitcycle import LimitCycle
from restore.errors import UsageError

__all__ = ["Analysis", "Attractor", "Scan", "analyse", "scan_parameter"]

STARTS = 512
"""Random starts of Newton's method where a grid would have too many points: in three and more dimensions."""

CYCLE_STARTS = 6
"""Starts of the search for cycles where STARTS are random; each that settles on no cycle costs seconds."""

SCAN_SETTINGS: dict[str, Any] = {"transient": 400.0, "longest": 60.0, "dt": 0.1, "steps": 400}
"""A scan takes many snapshots, so its steps are coarser than the analysis of one field has them; and it looks close to
bifurcations, where states settle slowly."""


@dataclass(frozen=True, eq=False)
class Attractor:
    """An attractor of the discrete map h_{t-1} -> h_t.

    Attributes:
        origin: what the orbit started from, in words.
        exponents: (n,) Lyapunov exponents in nats a step, largest first.
    """

    origin: str
    exponents: Tensor


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a field has.

    Attributes:
        fixed_points: all that were found, classified.
        cycles: the stable limit cycles that were found, the shortest period first.
        attractors: of the cell's discrete map, one for each stable fixed point and cycle of the field.
        portrait: the phase plane, or None in other dimensions than two.
    """

    fixed_points: list[FixedPoint]
    cycles: list[LimitCycleOrbit]
    attractors: list[Attractor]
    portrait: PhasePortrait | None


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan of one parameter.

    Attributes:
        parameter: its name with the index.
        snapshots: what the field has at each value.
        bifurcations: the changes between neighbouring values, narrowed down.
    """

    parameter: str
    snapshots: list[Snapshot]
    bifurcations: list[Bifurcation]


def analyse(cell: CTGRU | LimitCycle, *, exponent_steps: int = 5000) -> Analysis:
    """Return the fixed points, stable cycles and Lyapunov exponents of a cell under a drive of zero.

    In two dimensions the search starts from a grid, in others from random points; what no start reaches is not found.

    >>> cell = LimitCycle(2, dtype=torch.float64)
    >>> found = analyse(cell, exponent_steps=50)
    >>> [point.kind for point in found.fixed_points], len(found.cycles)
    (['unstable focus'], 1)
    """
    field, bound = autonomous(cell), _bound(cell)
    if cell.size == 2:
        portrait = phase_portrait(field, bound=1.2 * bound)
        points, cycles = portrait.fixed_points, portrait.cycles
    else:
        portrait = None
        starts = _starts(cell.size, bound)
        points = classify(field, find_fixed_points(field, starts))
        cycles = find_limit_cycles(field, starts[:CYCLE_STARTS])
    attractors = [
        Attractor(origin, lyapunov_exponents(step_map(cell), start, steps=exponent_steps))
        for origin, start in _origins(points, cycles, _starts(cell.size, bound)).items()
    ]
    return Analysis(points, cycles, attractors, portrait)


def scan_parameter(
    cell: CTGRU | LimitCycle,
    name: str,
    index: tuple[int, ...],
    first: float,
    last: float,
    *,
    values: int = 11,
    tolerance: float = 1e-3,
) -> Scan:
    """Return what a cell's field has at equidistant `values` of one of its parameters, and where that changes.

    Each change is narrowed down to `tolerance` times the range by bisection.

    Raises UsageError for fewer than two values and an empty or infinite range.
    """
    if values < 2 or first == last or not math.isfinite(first - last):
        raise UsageError(f"a scan needs two values or more from a range, got {values} from {first:g} to {last:g}.")
    bound = _bound(cell)
    starts = grid_starts(2, per_axis=11, bound=bound) if cell.size == 2 else _starts(cell.size, bound)
    few = grid_starts(2, per_axis=3, bound=bound) if cell.size == 2 else starts[:CYCLE_STARTS]
    family = _family(cell, name, index)
    ladder = torch.linspace(first, last, values, dtype=torch.float64).tolist()
    snapshots = scan(family, ladder, starts, few, **SCAN_SETTINGS)
    narrow = tolerance * abs(last - first)
    found = [
        locate(family, change, starts, few, tolerance=narrow, **SCAN_SETTINGS) for change in bifurcations(snapshots)
    ]
    return Scan(f"{name}[{', '.join(map(str, index))}]", snapshots, found)


def _family(
    cell: CTGRU | LimitCycle, name: str, index: tuple[int, ...]
) -> Callable[[float], Callable[[Tensor], Tensor]]:
    def field(value: float) -> Callable[[Tensor], Tensor]:
        changed = copy.deepcopy(cell)
        with torch.no_grad():
            changed.get_parameter(name)[index] = value
        return autonomous(changed)

    return field


def _bound(cell: CTGRU | LimitCycle) -> float:
    """Return half the side of a cube that holds what the cell settles on: [-1, 1]^n traps both tanh systems."""
    if isinstance(cell, LimitCycle) and cell.form == "hopf":
        return max(1.0, float(cell.log_rho.detach().exp().max()))
    return 1.0


def _starts(size: int, bound: float) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    inside = (2 * torch.rand(STARTS - 1, size, generator=generator, dtype=torch.float64) - 1) * bound
    return torch.cat((torch.zeros(1, size, dtype=torch.float64), inside))


def _origins(points: list[FixedPoint], cycles: list[LimitCycleOrbit], starts: Tensor) -> dict[str, Tensor]:
    """Return where to start the map from: off each stable fixed point, for the map may leave it, and on each cycle."""
    stable = {f"{point.kind} {number}": point.position + 0.01 for number, point in enumerate(points, 1) if point.stable}
    origins = stable | {f"cycle {number}": cycle.orbit[0] for number, cycle in enumerate(cycles, 1)}
    return origins or {"a random state": starts[1]}
