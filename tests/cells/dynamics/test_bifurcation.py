"""Scans of one parameter: every kind of bifurcation, at the value where it is known to be."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from restore.cells.dynamics import autonomous, bifurcations, grid_starts, locate, scan, set_parameters_
from restore.cells.integration import Field
from restore.cells.limitcycle import LimitCycle, rotations

NOWHERE = torch.zeros(0, 2)
QUICK = {"transient": 40.0, "longest": 60.0, "dt": 0.1, "steps": 200}


def _plane(first: Callable[[Tensor, Tensor], Tensor], second: Callable[[Tensor, Tensor], Tensor]) -> Field:
    return lambda h: torch.stack((first(h[..., 0], h[..., 1]), second(h[..., 0], h[..., 1])), dim=-1)


def saddle_node(value: float) -> Field:
    return _plane(lambda x, y: value - x * x, lambda x, y: -y)


def hopf(value: float) -> Field:
    return lambda h: h * (value - h.square().sum(-1, keepdim=True)) + torch.stack((-h[..., 1], h[..., 0]), -1)


def saddle_node_on_a_cycle(value: float) -> Field:
    """r' = r (1 - r^2), angle' = value - sin(angle)."""

    def field(h: Tensor) -> Tensor:
        turned = torch.stack((-h[..., 1], h[..., 0]), -1)
        radius = h.norm(dim=-1, keepdim=True)
        return h * (1 - radius.square()) + turned * (value - h[..., 1:] / radius)

    return field


def fold_of_cycles(value: float) -> Field:
    """r' = r (value + 2 r^2 - r^4): two cycles for value > -1 (and below 0), none below."""

    def field(h: Tensor) -> Tensor:
        square = h.square().sum(-1, keepdim=True)
        return h * (value + 2 * square - square.square()) + torch.stack((-h[..., 1], h[..., 0]), -1)

    return field


def homoclinic(value: float) -> Field:
    """Bogdanov and Takens: x' = y, y' = -e^4 + e^2 value y + x^2 - x y, with a loop at value = -5/7 as e -> 0."""
    return _plane(lambda x, y: y, lambda x, y: -0.01 + 0.1 * value * y + x * x - x * y)


@pytest.mark.parametrize(
    ("family", "low", "high", "kind", "at"),
    [
        (saddle_node, -0.3, 0.4, "saddle-node", 0.0),
        (hopf, -0.3, 0.4, "Hopf", 0.0),
        (saddle_node_on_a_cycle, 0.7, 1.2, "saddle-node on a cycle", 1.0),
        (fold_of_cycles, -1.3, -0.6, "fold of cycles", -1.0),
    ],
)
def test_normal_forms(family: Callable[[float], Field], low: float, high: float, kind: str, at: float) -> None:
    starts = grid_starts(2, per_axis=16, bound=1.5)
    cycle_starts = NOWHERE if kind == "saddle-node" else torch.tensor([[1.4, 0.2]])
    (found,) = bifurcations(scan(family, (low, high), starts, cycle_starts, **QUICK))
    assert found.kind == kind
    narrow = locate(family, found, starts, cycle_starts, tolerance=0.1, **QUICK)
    assert narrow.kind == kind
    assert narrow.low.value < at < narrow.high.value
    assert narrow.high.value - narrow.low.value <= 0.1


def test_homoclinic_loop() -> None:
    starts, cycle_starts = grid_starts(2, per_axis=6, bound=0.3), torch.tensor([[-0.09, 0.0]])
    settings = {"transient": 600.0, "dt": 0.25, "steps": 200}
    (found,) = bifurcations(scan(homoclinic, (-0.9, -0.5), starts, cycle_starts, **settings))
    narrow = locate(homoclinic, found, starts, cycle_starts, tolerance=0.02, **settings)
    assert narrow.kind == "homoclinic"
    assert narrow.low.value == pytest.approx(-5 / 7, abs=0.03)
    assert narrow.low.cycles[0].period > 1.3 * found.low.cycles[0].period


def test_nothing_happens_between_equals() -> None:
    assert bifurcations(scan(hopf, (0.1, 0.2), grid_starts(2, per_axis=4), torch.tensor([[0.5, 0.1]]), **QUICK)) == []


def test_scan_of_the_published_family() -> None:
    """The tanh network h' = tanh(S Rot(theta) h) - h over theta: SNIC at pi/21.25, Hopf at arccos(1/S)."""

    def family(angle: float) -> Field:
        cell = LimitCycle(2, form="tanh", dtype=torch.float64)
        set_parameters_(cell, {"W": 1.5 * rotations(torch.tensor([angle], dtype=torch.float64))})
        return autonomous(cell)

    starts = grid_starts(2, per_axis=15)
    snapshots = scan(family, (0.1, 0.25, 0.6, 1.0), starts, torch.tensor([[0.3, 0.1]]), **QUICK)
    assert [dict(snapshot.census) for snapshot in snapshots] == [
        {"stable": 4, "saddle": 4, "unstable": 1},
        {"unstable": 1, "cycle": 1},
        {"unstable": 1, "cycle": 1},
        {"stable": 1},
    ]
    snic, hopf_point = bifurcations(snapshots)
    assert (snic.kind, hopf_point.kind) == ("saddle-node on a cycle", "Hopf")
    assert snapshots[1].cycles[0].period > 3 * snapshots[2].cycles[0].period
    for found, at in ((snic, math.pi / 21.25), (hopf_point, math.acos(1 / 1.5))):
        narrow = locate(family, found, starts, NOWHERE, tolerance=3e-3, **QUICK)
        assert narrow.low.value < at < narrow.high.value
