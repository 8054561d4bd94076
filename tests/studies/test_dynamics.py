"""The analysis of systems whose dynamics are known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from restore.cells.ctgru import CTGRU
from restore.cells.dynamics import set_parameters_
from restore.cells.limitcycle import LimitCycle
from restore.errors import UsageError
from restore.studies.dynamics import analyse, scan_parameter


@pytest.fixture
def quick_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings for systems that settle within a few units of time."""
    monkeypatch.setattr("restore.studies.dynamics.SCAN_SETTINGS", {"transient": 60.0, "longest": 10.0, "dt": 0.1})


def _ctgru(size: int, dt: float = 1.0, **parameters: Any) -> CTGRU:
    cell = CTGRU(size, dt=dt, dtype=torch.float64)
    set_parameters_(cell, parameters)
    return cell


def _hopf(omega: float, radius: float) -> LimitCycle:
    cell = LimitCycle(2, dtype=torch.float64)
    set_parameters_(cell, {"omega": [omega], "log_rho": [math.log(radius)]})
    return cell


def test_hopf_normal_form() -> None:
    """Period 2 pi / omega, radius rho, multipliers 1 and exp(-2 mu T); exponents of a step 0 and -2 mu dt."""
    cell = _hopf(omega=1.5, radius=2.0)
    found = analyse(cell, exponent_steps=200)
    assert [point.kind for point in found.fixed_points] == ["unstable focus"]
    (cycle,) = found.cycles
    assert cycle.period == pytest.approx(2 * math.pi / 1.5, rel=1e-9)
    torch.testing.assert_close(cycle.orbit.norm(dim=-1), torch.full((len(cycle.orbit),), 2.0, dtype=torch.float64))
    assert cycle.multipliers.real.tolist() == pytest.approx((1, math.exp(-2 * cycle.period)), abs=1e-6)
    (attractor,) = found.attractors
    assert attractor.origin == "cycle 1"
    assert attractor.exponents.tolist() == pytest.approx((0, -2 * cell.dt), abs=1e-2)
    assert found.portrait is not None
    assert found.portrait.axis[-1] > 2


def test_one_unit_rests() -> None:
    """h' = (tanh(3 h / 2) - h) / 2 has two nodes at the solutions of h = tanh(3 h / 2) and repels from 0."""
    found = analyse(_ctgru(1, U_h=[[3.0]]), exponent_steps=50)
    assert found.portrait is None
    assert found.cycles == []
    assert [point.kind for point in found.fixed_points] == ["stable node", "unstable node", "stable node"]
    node = found.fixed_points[-1].position.item()
    assert node == pytest.approx(math.tanh(1.5 * node), abs=1e-10)
    assert [attractor.origin for attractor in found.attractors] == ["stable node 1", "stable node 3"]
    slope = 0.5 + 0.5 * 1.5 * (1 - node**2)  # of Euler's unit step
    assert found.attractors[0].exponents.item() == pytest.approx(math.log(slope), abs=1e-9)


def test_chaos_of_the_discrete_map() -> None:
    """The map of Laurent and von Brecht (arXiv:1612.06212), whose flow, in the plane, cannot be chaotic."""
    cell = _ctgru(2, U_z=[[0, -1], [-1, -1]], U_r=[[0, 1], [1, 0]], U_h=[[-5, -8], [8, 5]])
    found = analyse(cell)
    assert max(attractor.exponents[0].item() for attractor in found.attractors) == pytest.approx(0.2215, abs=0.02)


@pytest.mark.usefixtures("quick_scan")
def test_scan_finds_the_pitchfork() -> None:
    """h_1' = (tanh(a h_1 / 2) - h_1) / 2 turns from one fixed point to three at a = 2; h_2 only decays."""
    cell = _ctgru(2, U_h=[[1.0, 0.0], [0.0, 0.5]])
    found = scan_parameter(cell, "U_h", (0, 0), 1.5, 2.6, values=3, tolerance=0.1)
    assert found.parameter == "U_h[0, 0]"
    assert [snapshot.value for snapshot in found.snapshots] == pytest.approx([1.5, 2.05, 2.6])
    assert [len(snapshot.fixed_points) for snapshot in found.snapshots] == [1, 3, 3]
    (change,) = found.bifurcations
    assert change.kind == "pitchfork"
    assert change.low.value < 2 < change.high.value
    assert change.high.value - change.low.value < 0.11


@pytest.mark.usefixtures("quick_scan")
def test_scan_changes_no_parameter_of_the_cell() -> None:
    cell = _ctgru(1, U_h=[[0.5]])
    scan_parameter(cell, "b_h", (0,), 0.0, 0.5, values=2)
    assert cell.b_h.item() == 0
    assert cell.U_h.item() == 0.5


@pytest.mark.parametrize(
    ("first", "last", "values"), [(0.0, 0.0, 3), (0.0, 1.0, 1), (math.nan, 1.0, 3), (0.0, math.inf, 3)]
)
def test_scan_refuses_an_empty_range(first: float, last: float, values: int) -> None:
    with pytest.raises(UsageError, match="two values or more from a range"):
        scan_parameter(_ctgru(1, U_h=[[0.5]]), "b_h", (0,), first, last, values=values)
