"""A scan of one parameter: what is at rest, what oscillates, and between which values that changes."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from restore.cells.dynamics.classification import FixedPoint, classify
from restore.cells.dynamics.fixed_points import find_fixed_points
from restore.cells.dynamics.limit_cycles import LimitCycleOrbit, find_limit_cycles
from restore.cells.integration import Field

__all__ = ["Bifurcation", "Family", "Snapshot", "bifurcations", "locate", "scan", "take_snapshot"]

Family: TypeAlias = Callable[[float], Field]
"""A field for every value of the parameter."""


@dataclass(frozen=True)
class Snapshot:
    """What a field has at one value of the parameter.

    Attributes:
        value: of the parameter.
        fixed_points: all that were found, classified.
        cycles: the stable limit cycles that were found.
    """

    value: float
    fixed_points: list[FixedPoint]
    cycles: list[LimitCycleOrbit]

    @property
    def census(self) -> Counter[str]:
        """How many stable, unstable, saddle and non-hyperbolic fixed points there are, and how many cycles."""
        counts = Counter(point.kind.split()[0] for point in self.fixed_points)
        counts["cycle"] = len(self.cycles)
        return +counts


@dataclass(frozen=True)
class Bifurcation:
    """A change of the census between two neighbouring values.

    Attributes:
        low: the snapshot before it. high: the snapshot after it. kind: "Hopf", "pitchfork", "saddle-node", "saddle-node
        on a cycle", "homoclinic" or "fold of cycles", as far as the
            two snapshots tell; "unresolved" where they are too far apart to tell.
    """

    low: Snapshot
    high: Snapshot
    kind: str


def take_snapshot(family: Family, value: float, starts: Tensor, cycle_starts: Tensor, **settings: Any) -> Snapshot:
    """Return the fixed points reached from `starts` (N, n) and the stable cycles reached from `cycle_starts` (M, n).

    `settings` go to `find_limit_cycles`.
    """
    field = family(value)
    points = classify(field, find_fixed_points(field, starts))
    return Snapshot(value, points, find_limit_cycles(field, cycle_starts, **settings))


def scan(
    family: Family, values: Iterable[float], starts: Tensor, cycle_starts: Tensor, **settings: Any
) -> list[Snapshot]:
    """Return a snapshot for each of the `values` in turn; other arguments as in `take_snapshot`.

    A cycle found at one value is followed to the next: some of its points are starts there.
    """
    snapshots: list[Snapshot] = []
    for value in values:
        follow = _with_cycles(cycle_starts, snapshots[-1:])
        snapshots.append(take_snapshot(family, float(value), starts, follow, **settings))
    return snapshots


def _with_cycles(cycle_starts: Tensor, snapshots: Sequence[Snapshot]) -> Tensor:
    orbits = [cycle.orbit[:-1] for snapshot in snapshots for cycle in snapshot.cycles]
    quarters = [orbit[:: max(1, len(orbit) // 4)] for orbit in orbits]
    return torch.cat([cycle_starts.double(), *quarters])


def bifurcations(snapshots: Sequence[Snapshot]) -> list[Bifurcation]:
    """Return the changes of the census between neighbouring snapshots, named."""
    return [
        Bifurcation(low, high, _name(low, high))
        for low, high in itertools.pairwise(snapshots)
        if low.census != high.census
    ]


def locate(
    family: Family,
    found: Bifurcation,
    starts: Tensor,
    cycle_starts: Tensor,
    *,
    tolerance: float = 1e-4,
    **settings: Any,
) -> Bifurcation:
    """Narrow a bifurcation down to `tolerance` by bisection; other arguments as in `take_snapshot`.

    Cycles are followed as in `scan`. Kept is the half whose ends differ, the lower one where both halves' do.
    """
    low, high = found.low, found.high
    while abs(high.value - low.value) > tolerance:
        follow = _with_cycles(cycle_starts, (low, high))
        middle = take_snapshot(family, (low.value + high.value) / 2, starts, follow, **settings)
        low, high = (low, middle) if middle.census != low.census else (middle, high)
    return Bifurcation(low, high, _name(low, high))


def _name(low: Snapshot, high: Snapshot) -> str:
    fewer, more = sorted((low, high), key=lambda snapshot: len(snapshot.fixed_points))
    created = len(more.fixed_points) - len(fewer.fixed_points)
    cycles_change = len(low.cycles) != len(high.cycles)
    if created % 2:
        return "unresolved"
    if created and len(fewer.cycles) > len(more.cycles):
        return "saddle-node on a cycle"
    if created and cycles_change:
        return "unresolved"
    if created:
        return "pitchfork" if _some_point_turns_saddle(fewer, more) else "saddle-node"
    if low.census["stable"] != high.census["stable"]:
        return "Hopf"
    if cycles_change:
        return _name_global(max(low, high, key=lambda snapshot: len(snapshot.cycles)))
    return "unresolved"


def _some_point_turns_saddle(fewer: Snapshot, more: Snapshot) -> bool:
    """Whether a fixed point of `fewer` is a saddle and its nearest neighbour in `more` is not, or the reverse."""
    for point in fewer.fixed_points:
        nearest = min(more.fixed_points, key=lambda other: float((other.position - point.position).norm()))
        if (nearest.kind == "saddle") != (point.kind == "saddle"):
            return True
    return False


def _name_global(snapshot: Snapshot) -> str:
    """Name what a cycle vanishes in while no fixed point changes: a loop through a saddle, if it comes close to one."""
    saddles = [point.position for point in snapshot.fixed_points if point.kind == "saddle"]
    for cycle in snapshot.cycles:
        extent = float((cycle.orbit.amax(dim=0) - cycle.orbit.amin(dim=0)).norm())
        if saddles and float(torch.cdist(torch.stack(saddles), cycle.orbit).min()) < 0.1 * extent:
            return "homoclinic"
    return "fold of cycles"
