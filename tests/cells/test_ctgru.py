"""The continuous-time GRU: its discrete limit, its trapping region, and parameter sets of known dynamics."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from restore.cells import make_cell, unroll
from restore.cells.ctgru import CTGRU
from restore.cells.dynamics import (
    FixedPoint,
    LimitCycleOrbit,
    autonomous,
    classify,
    find_fixed_points,
    find_limit_cycle,
    flow,
    grid_starts,
    lyapunov_exponents,
    set_parameters_,
    step_map,
)
from restore.cells.integration import Field
from restore.cells.limitcycle import rotations
from restore.errors import UsageError

tolerances = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])

BISTABLE = {
    "U_r": [[-3.536, -5.208], [-1.853, -0.967]],
    "b_r": [2.95, 0.223],
    "U_h": [[-0.021, 3.492], [-8.059, 3.613]],
    "b_h": [0.915, 0.907],
}


def _randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _field(**parameters: Any) -> Field:
    cell = CTGRU(2, dtype=torch.float64)
    set_parameters_(cell, parameters)
    return autonomous(cell)


def _turning(angle: float) -> Field:
    return _field(U_h=3 * rotations(torch.tensor([angle], dtype=torch.float64)))


def _rest(field: Field) -> list[FixedPoint]:
    return classify(field, find_fixed_points(field, grid_starts(2)))


def _kinds(field: Field) -> list[str]:
    return sorted(point.kind for point in _rest(field))


@tolerances
def test_unit_euler_step_is_torch_gru(dtype: torch.dtype, tolerance: float) -> None:
    generator = torch.Generator().manual_seed(0)
    cell = CTGRU(7, gate="after", generator=generator, dtype=dtype)
    layer = nn.Linear(5, 21, dtype=dtype)
    cell.reset_input_(layer, generator)
    theirs = nn.GRUCell(5, 7, dtype=dtype)
    theirs.load_state_dict(
        {
            "weight_ih": layer.weight,
            "bias_ih": layer.bias,
            "weight_hh": torch.cat((cell.U_r, cell.U_z, cell.U_h)),
            "bias_hh": torch.cat((cell.b_r, cell.b_z, cell.b_h)),
        }
    )
    state, their_state = cell.initial((3,)), torch.zeros(3, 7, dtype=dtype)
    for _ in range(6):
        inputs = torch.randn(3, 5, generator=generator, dtype=torch.float64).to(dtype)
        state, their_state = cell(layer(inputs), state), theirs(inputs, their_state)
        torch.testing.assert_close(state, their_state, rtol=0, atol=tolerance)


def test_step_of_the_published_form_is_the_equation() -> None:
    cell = CTGRU(4, dt=0.3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drive, h = _randn(12), _randn(4, seed=1)
    r = torch.sigmoid(drive[:4] + cell.U_r @ h + cell.b_r)
    z = torch.sigmoid(drive[4:8] + cell.U_z @ h + cell.b_z)
    expected = h + 0.3 * (1 - z) * (torch.tanh(drive[8:] + cell.U_h @ (r * h) + cell.b_h) - h)
    torch.testing.assert_close(cell(drive, h), expected, rtol=0, atol=1e-15)
    after = CTGRU(4, gate="after", generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert (after.field(drive, h) - cell.field(drive, h)).abs().max() > 1e-2


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk4", 4)])
def test_order_of_the_integrators(method: str, order: int) -> None:
    errors = []
    reference = CTGRU(4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    exact = flow(autonomous(reference), _randn(4), 1.0, 1000)
    for steps in (4, 8):
        cell = CTGRU(4, method=method, dt=1 / steps, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        end = unroll(cell, torch.zeros(steps, 12, dtype=torch.float64), _randn(4))[-1]
        errors.append((end - exact).norm().item())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.3)


@pytest.mark.parametrize("seed", range(3))
def test_the_cube_is_a_trapping_region(seed: int) -> None:
    cell = CTGRU(5, dt=1.0, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.copy_(4 * torch.randn(parameter.shape, generator=generator))
    state = 2 * torch.rand(50, 5, generator=generator, dtype=torch.float64) - 1
    states = torch.stack(unroll(cell, 4 * torch.randn(40, 50, 15, generator=generator).double(), state))
    assert states.abs().max() <= 1


@pytest.mark.parametrize(
    ("angle", "kinds"),
    [
        (0.1, ["saddle"] * 4 + ["stable node"] * 4 + ["unstable focus"]),
        (math.pi / 21.25 + 1e-3, ["unstable focus"]),
        (math.acos(2 / 3) - 1e-3, ["unstable focus"]),
        (0.9, ["stable focus"]),
    ],
)
def test_hopf_family(angle: float, kinds: list[str]) -> None:
    assert _kinds(_turning(angle)) == kinds


@pytest.mark.parametrize(("angle", "exists"), [(0.1, False), (0.3, True), (0.75, True), (0.9, False)])
def test_cycle_of_the_hopf_family(angle: float, exists: bool) -> None:
    cycle = find_limit_cycle(_turning(angle), torch.tensor([0.3, 0.1]), dt=0.1, steps=500)
    assert (cycle is not None) == exists
    if cycle is not None:
        assert cycle.stable
        assert abs(cycle.multipliers[0].item() - 1) < 1e-4


def test_bistability_of_a_cycle_and_a_fixed_point() -> None:
    field = _field(**BISTABLE)
    focus, saddle, node = _rest(field)
    assert [point.kind for point in (focus, saddle, node)] == ["unstable focus", "saddle", "stable node"]
    for point, position in ((focus, (0.0545, -0.3948)), (saddle, (0.8152, 0.4238)), (node, (0.8394, 0.8093))):
        assert point.position.tolist() == pytest.approx(position, abs=1e-4)
    assert focus.eigenvalues[0].real.item() == pytest.approx(0.19, abs=0.005)
    assert abs(focus.eigenvalues[0].imag.item()) == pytest.approx(1.92, abs=0.005)
    assert saddle.eigenvalues.real.tolist() == pytest.approx((0.988, -0.575), abs=1e-3)
    cycle = find_limit_cycle(field, focus.position + 0.02, transient=60.0)
    assert cycle is not None and cycle.stable
    settled = flow(field, node.position + 0.02, 60.0, 600)
    assert (settled - node.position).norm() < 1e-6


def _lowered(bias: float) -> Field:
    return _field(**{**BISTABLE, "b_h": [bias, 0.907]})


def _between(bias: float, fraction: float) -> Tensor:
    """A point on the line from the focus to the saddle."""
    points = {point.kind: point.position for point in _rest(_lowered(bias))}
    assert sorted(points) == ["saddle", "stable node", "unstable focus"]
    return points["unstable focus"].lerp(points["saddle"], fraction)


def _unstable_cycle(bias: float) -> LimitCycleOrbit | None:
    field = _lowered(bias)
    return find_limit_cycle(lambda h: -field(h), _between(bias, 0.9), transient=150.0, longest=40.0, dt=0.1)


def test_homoclinic_bifurcation() -> None:
    """An unstable cycle leaves the saddle's loop at b_h[0] = -0.0690717; its period grows as -ln(d) / |lambda_s|.

    The eigenvalues of the saddle have a positive sum: no stable cycle can end in its loop, and the return map of the
    unstable one is x -> a x^nu - b d with nu = |lambda_s| / lambda_u < 1, at rest at x ~ d^(1 / nu).
    """
    loop = -0.06907169
    saddle = _rest(_lowered(loop))[1]
    assert saddle.kind == "saddle"
    assert saddle.eigenvalues.real.sum() > 0
    far, near = _unstable_cycle(loop - 2e-3), _unstable_cycle(loop - 1e-3)
    assert far is not None
    assert near is not None
    law = math.log(2) / -saddle.eigenvalues[1].real.item()
    assert near.period - far.period == pytest.approx(law, rel=0.2)
    assert _unstable_cycle(loop + 1e-3) is None


@pytest.mark.parametrize(("bias", "period"), [(-0.05, 4.727), (-0.08, 5.408), (-0.084, 5.837), (-0.086, None)])
def test_the_stable_cycle_ends_before_the_fixed_points_do(bias: float, period: float | None) -> None:
    cycle = find_limit_cycle(_lowered(bias), _between(bias, 0.4), transient=600.0, dt=0.1)
    assert (cycle and cycle.period) == (period and pytest.approx(period, rel=1e-3))


def test_update_gate_moves_no_fixed_point_but_turns_stability() -> None:
    U_h = [[5.0, -4.0], [4.0, -2.0]]
    (still,), (gated,) = _rest(_field(U_h=U_h)), _rest(_field(U_h=U_h, b_z=[0.0, 3.0]))
    torch.testing.assert_close(still.position, gated.position, rtol=0, atol=1e-10)
    assert (still.kind, gated.kind) == ("stable focus", "unstable node")
    assert still.eigenvalues[0].real.item() == pytest.approx(-0.125, abs=1e-6)
    assert abs(still.eigenvalues[0].imag.item()) == pytest.approx(0.484, abs=1e-3)
    assert gated.eigenvalues.real.tolist() == pytest.approx((0.617, 0.0385), abs=1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_poincare_hopf(seed: int) -> None:
    """In two dimensions nodes and foci outnumber saddles by one, and U_z, b_z change no position."""
    names = {"U_r": (2, 2), "b_r": (2,), "U_h": (2, 2), "b_h": (2,)}
    drawn = {name: 3 * _randn(*shape, seed=10 * seed + i) for i, (name, shape) in enumerate(names.items())}
    points = _rest(_field(**drawn))
    saddles = sum(point.kind == "saddle" for point in points)
    assert len(points) - 2 * saddles == 1
    gates = {"U_z": 2 * _randn(2, 2, seed=seed), "b_z": _randn(2, seed=seed)}
    gated = _rest(_field(**drawn, **gates))
    torch.testing.assert_close(
        torch.stack([point.position for point in gated]),
        torch.stack([point.position for point in points]),
        rtol=0,
        atol=1e-8,
    )
    assert sum(point.kind == "saddle" for point in gated) == saddles
    # No continuous attractor: every point is isolated, none is even nearly neutral.
    assert min(point.eigenvalues.abs().min().item() for point in points) > 1e-4


def test_discrete_gru_is_chaotic_where_the_plane_cannot_be() -> None:
    """The example of Laurent and von Brecht (arXiv:1612.06212), whose gate weighs the new value (1 - z here)."""
    parameters = {"U_z": [[0, -1], [-1, -1]], "U_r": [[0, 1], [1, 0]], "U_h": [[-5, -8], [8, 5]]}
    cell = CTGRU(2, dtype=torch.float64)
    set_parameters_(cell, parameters)
    exponents = lyapunov_exponents(step_map(cell), torch.tensor([0.1, 0.2]), steps=10_000)
    assert exponents[0].item() == pytest.approx(0.2215, abs=0.01)
    assert exponents[1] < 0
    settled = find_limit_cycle(_field(**parameters), torch.tensor([0.1, 0.2]), transient=100.0)
    at_rest = flow(_field(**parameters), torch.tensor([0.1, 0.2]), 200.0, 4000)
    assert settled is not None or _field(**parameters)(at_rest).norm() < 1e-6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt": -1.0}, "step dt above 0, got -1.0"),
        ({"method": "heun"}, "unknown ctgru option method 'heun'"),
        ({"gate": "befor"}, "unknown ctgru option gate 'befor': did you mean 'before'"),
    ],
)
def test_bad_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_cell("ctgru", 4, **options)
