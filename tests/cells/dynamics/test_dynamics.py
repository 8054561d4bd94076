"""The analysis tools against systems whose answers are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import Tensor

from restore.cells.ctgru import CTGRU
from restore.cells.dynamics import (
    adjoint_of_flow,
    adjoint_of_map,
    autonomous,
    classify,
    find_fixed_points,
    find_limit_cycle,
    find_limit_cycles,
    flow,
    grid_starts,
    jacobians,
    kind_of,
    lyapunov_exponents,
    newton,
    nullclines,
    phase_portrait,
    set_parameters_,
    step_map,
    trajectory,
)
from restore.cells.integration import rk4_step
from restore.cells.limitcycle import LimitCycle
from restore.errors import UsageError


def _randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def van_der_pol(state: Tensor) -> Tensor:
    x, y = state[..., 0], state[..., 1]
    return torch.stack((y, (1 - x * x) * y - x), dim=-1)


def two_rings(state: Tensor) -> Tensor:
    """r' = -r (r - 1) (r - 2) (r - 3), angle' = 1: stable at r = 1 and 3, unstable between."""
    r = state.norm(dim=-1, keepdim=True)
    turned = torch.stack((-state[..., 1], state[..., 0]), dim=-1)
    return -state * (r - 1) * (r - 2) * (r - 3) + turned


def _gru(seed: int = 0, size: int = 3) -> CTGRU:
    cell = CTGRU(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(3)
    return cell


def test_field_of_a_cell_leaves_the_cell_alone() -> None:
    cell = CTGRU(3, generator=torch.Generator().manual_seed(0))
    drive = _randn(9)
    field = autonomous(cell, drive)
    expected = cell.double().field(drive, _randn(4, 3))
    torch.testing.assert_close(field(_randn(4, 3)), expected)
    with torch.no_grad():
        cell.U_h.zero_()
    torch.testing.assert_close(field(_randn(4, 3)), expected)
    assert not field(_randn(4, 3)).requires_grad


def test_step_map_is_the_cell() -> None:
    cell, drive, state = _gru(), _randn(9), _randn(5, 3)
    torch.testing.assert_close(step_map(cell, drive)(state), cell(drive.expand(5, 9), state).detach())


@pytest.mark.parametrize("seed", range(3))
def test_jacobians_against_finite_differences(seed: int) -> None:
    field, points = autonomous(_gru(seed)), _randn(4, 3, seed=seed)
    found = jacobians(field, points)
    for j in range(3):
        step = 1e-6 * torch.eye(3, dtype=torch.float64)[j]
        torch.testing.assert_close(
            found[..., j], (field(points + step) - field(points - step)) / 2e-6, rtol=0, atol=1e-8
        )


def test_flow_against_scipy() -> None:
    start = torch.tensor([0.3, -0.2])

    def field(_: float, h: np.ndarray) -> np.ndarray:
        return van_der_pol(torch.tensor(h)).numpy()

    solution = solve_ivp(field, (0, 5), start.numpy(), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(flow(van_der_pol, start, 5.0, 500), torch.tensor(solution.y[:, -1]), rtol=0, atol=1e-6)
    path = trajectory(van_der_pol, start.expand(2, 2), 5.0, 500)
    assert path.shape == (501, 2, 2)
    torch.testing.assert_close(path[-1, 1], flow(van_der_pol, start, 5.0, 500))


def test_fixed_points_of_a_polynomial_field() -> None:
    def field(state: Tensor) -> Tensor:
        x, y = state[..., 0], state[..., 1]
        return torch.stack((x - x**3, y * (0.5 - x) * (y + 0.7)), dim=-1)

    found = find_fixed_points(field, grid_starts(2, per_axis=9, bound=1.3))
    expected = [[x, y] for x in (-1.0, 0.0, 1.0) for y in (-0.7, 0.0)]
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-9)


def test_a_gate_that_slows_the_field_makes_no_fixed_points() -> None:
    field = lambda h: torch.exp(-20 * h.abs()) * (torch.tanh(2 * h) - h)  # noqa: E731
    found = find_fixed_points(field, grid_starts(1, per_axis=41, bound=2.0))
    assert found.shape == (3, 1)
    assert found[2].item() == pytest.approx(0.957504, abs=1e-6)


def test_newton_stays_where_it_cannot_improve() -> None:
    points, converged = newton(lambda h: h * h + 1, torch.tensor([[0.0], [0.7]]))
    assert not converged.any()
    assert points[0].item() == 0.0
    assert find_fixed_points(lambda h: h * h + 1, grid_starts(1)).shape == (0, 1)


def test_newton_doubles_its_digits() -> None:
    errors = []
    for steps in (3, 4, 5):
        points, _ = newton(torch.cos, torch.tensor([[1.0]]), steps=steps)
        errors.append(abs(points.item() - math.pi / 2))
    assert errors[1] < errors[0] ** 1.9
    assert newton(torch.cos, torch.tensor([[1.0]]))[1].all()


def test_grid_refuses_high_dimensions() -> None:
    with pytest.raises(UsageError, match="a grid of 21 points an axis in 5 dimensions is over 1000000 points"):
        grid_starts(5)


@pytest.mark.parametrize(
    ("matrix", "kind"),
    [
        ([[-1, 0], [0, -2]], "stable node"),
        ([[-1, 5], [-5, -1]], "stable focus"),
        ([[1, 0], [1, 3]], "unstable node"),
        ([[0.1, 1], [-1, 0.1]], "unstable focus"),
        ([[1, 0], [0, -1]], "saddle"),
        ([[0, 1], [-1, 0]], "non-hyperbolic"),
        ([[0, 0, 0], [0, -1, 0], [0, 0, -1]], "non-hyperbolic"),
        ([[1, 0, 0], [0, -1, 3], [0, -3, -1]], "saddle"),
    ],
)
def test_kinds_of_linear_fields(matrix: list[list[float]], kind: str) -> None:
    linear = torch.tensor(matrix, dtype=torch.float64)
    (found,) = classify(lambda h: h @ linear.mT, torch.zeros(1, len(matrix)))
    assert found.kind == kind
    assert found.stable == kind.startswith("stable")
    torch.testing.assert_close(found.jacobian, linear)
    assert (found.eigenvalues.real.diff() <= 0).all()
    assert kind_of(found.eigenvalues) == kind


@pytest.mark.parametrize(("mu", "omega", "rho"), [(0.1, 1.0, 1.0), (0.3, -2.0, 0.5)])
def test_cycle_of_the_normal_form(mu: float, omega: float, rho: float) -> None:
    cell = LimitCycle(2, dtype=torch.float64)
    set_parameters_(cell, {"omega": [omega], "log_mu": [math.log(mu)], "log_rho": [math.log(rho)]})
    cycle = find_limit_cycle(autonomous(cell), torch.tensor([0.1, 0.0]), transient=100.0)
    assert cycle is not None
    assert cycle.period == pytest.approx(2 * math.pi / abs(omega), rel=1e-9)
    expected = torch.tensor([1.0, math.exp(-2 * mu * cycle.period)], dtype=torch.float64)
    torch.testing.assert_close(cycle.multipliers.real, expected, rtol=0, atol=1e-7)
    torch.testing.assert_close(cycle.orbit.norm(dim=-1), torch.full((1001,), rho).double(), rtol=0, atol=1e-7)


def test_monodromy_against_finite_differences() -> None:
    cycle = find_limit_cycle(van_der_pol, torch.tensor([1.0, 0.0]), transient=50.0)
    assert cycle is not None
    assert cycle.period == pytest.approx(6.6632869, abs=1e-6)  # van der Pol's period at mu = 1
    for j in range(2):
        step = 1e-5 * torch.eye(2, dtype=torch.float64)[j]
        ends = [flow(van_der_pol, cycle.orbit[0] + sign * step, cycle.period, 1000) for sign in (1, -1)]
        torch.testing.assert_close(cycle.monodromy[:, j], (ends[0] - ends[1]) / 2e-5, rtol=0, atol=1e-6)


def test_all_stable_cycles_and_the_unstable_one_in_reverse() -> None:
    starts = torch.tensor([[0.5, 0.0], [0.0, 1.5], [2.5, 0.0], [0.0, 3.5], [1.0, 1.0]])
    settings = {"transient": 30.0, "dt": 0.05, "steps": 400}
    radii = [cycle.orbit.norm(dim=-1).mean().item() for cycle in find_limit_cycles(two_rings, starts, **settings)]
    assert sorted(radii) == pytest.approx([1, 3], abs=1e-6)
    (unstable,) = find_limit_cycles(lambda h: -two_rings(h), starts[1:3], **settings)
    assert unstable.orbit.norm(dim=-1).mean().item() == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize("rates", [(-0.2, 2.0), (-2.0, 0.0)])
def test_no_cycle_where_all_comes_to_rest(rates: tuple[float, float]) -> None:
    damping, turning = rates
    field = lambda h: damping * h + turning * torch.stack((-h[..., 1], h[..., 0]), -1)  # noqa: E731
    assert find_limit_cycle(field, torch.tensor([1.0, 0.5]), transient=20.0, longest=30.0) is None


def test_adjoint_of_a_map_is_backpropagation() -> None:
    cell, start, finals = _gru(), _randn(3), _randn(2, 3, seed=1)
    path, adjoints = adjoint_of_map(step_map(cell), start, finals, 20)
    assert (path.shape, adjoints.shape) == ((21, 3), (21, 2, 3))
    for final, found in zip(finals, adjoints[0], strict=True):
        leaf = start.clone().requires_grad_()
        state = leaf
        for _ in range(20):
            state = cell(torch.zeros(9, dtype=torch.float64), state)
        (expected,) = torch.autograd.grad(state @ final, leaf)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-14)


def test_adjoint_equation_gives_the_gradient_of_the_flow() -> None:
    field, start, final = autonomous(_gru()), _randn(3), _randn(3, seed=1)
    states, adjoints = adjoint_of_flow(field, start, final, 3.0, 60)
    leaf = start.clone().requires_grad_()
    state = leaf
    for _ in range(240):
        state = rk4_step(field, state, 3.0 / 240)
    (expected,) = torch.autograd.grad(state @ final, leaf)
    torch.testing.assert_close(states[-1], state.detach(), rtol=0, atol=1e-7)
    torch.testing.assert_close(adjoints[0], expected, rtol=0, atol=1e-7)


def test_adjoint_times_velocity_is_conserved() -> None:
    states, adjoints = adjoint_of_flow(van_der_pol, torch.tensor([1.0, 0.5]), _randn(4, 2), 10.0, 400)
    products = (adjoints * van_der_pol(states).unsqueeze(1)).sum(dim=-1)
    torch.testing.assert_close(products, products[-1:].expand_as(products), rtol=1e-5, atol=1e-6)


def test_lyapunov_exponent_of_the_logistic_map() -> None:
    exponents = lyapunov_exponents(lambda x: 4 * x * (1 - x), torch.tensor([0.3]), steps=5000)
    assert exponents.item() == pytest.approx(math.log(2), abs=0.01)


def test_lyapunov_exponents_of_the_henon_map() -> None:
    def henon(state: Tensor) -> Tensor:
        x, y = state[..., 0], state[..., 1]
        return torch.stack((1 - 1.4 * x * x + y, 0.3 * x), dim=-1)

    exponents = lyapunov_exponents(henon, torch.tensor([0.1, 0.1]), steps=5000)
    assert exponents[0].item() == pytest.approx(0.4192, abs=0.02)
    assert exponents.sum().item() == pytest.approx(math.log(0.3), abs=1e-10)


def test_lyapunov_exponents_of_a_rotation_and_of_a_collapse() -> None:
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    assert lyapunov_exponents(lambda h: h @ turn, torch.tensor([1.0, 0.0]), steps=200).abs().max() < 1e-14
    assert lyapunov_exponents(lambda h: 0 * h, torch.tensor([1.0]), steps=5).item() == -math.inf


def test_nullclines_are_where_a_component_vanishes() -> None:
    curves = nullclines(van_der_pol, bound=2.0, resolution=201)
    for component, lines in enumerate(curves):
        assert lines
        for line in lines:
            assert van_der_pol(line)[:, component].abs().max() < 5e-3
    (first,) = curves[0]
    assert first[:, 0].max() == pytest.approx(2, abs=0.03)


def test_phase_portrait() -> None:
    portrait = phase_portrait(van_der_pol, bound=3.0, resolution=21, time=5.0, steps=50, per_axis=3)
    row, column = 4, 17
    point = torch.stack((portrait.axis[column], portrait.axis[row]))
    torch.testing.assert_close(portrait.velocity[row, column], van_der_pol(point))
    assert portrait.orbits.shape == (51, 9, 2)
    assert [point.kind for point in portrait.fixed_points] == ["unstable focus"]
    assert len(portrait.cycles) == 1


def test_a_phase_plane_is_a_plane() -> None:
    for size in (1, 3):
        with pytest.raises(UsageError, match="a phase plane needs a field of two dimensions"):
            nullclines(autonomous(_gru(size=size)))


def test_set_parameters() -> None:
    cell = _gru(size=2)
    set_parameters_(cell, {"U_h": [[1, 2], [3, 4]], "b_z": [0.5, -0.5]})
    assert cell.U_h.tolist() == [[1, 2], [3, 4]]
    assert cell.b_z.tolist() == [0.5, -0.5]
    assert all(not getattr(cell, name).any() for name in ("U_r", "U_z", "b_r", "b_h"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"U_x": [[1, 2], [3, 4]]}, "unknown parameter 'U_x'"),
        ({"U_h": [[1, 2, 3]]}, r"parameter 'U_h' has the shape \(2, 2\) here, got \(1, 3\)"),
        ({"U_h": "three"}, "parameter 'U_h' must be a table of numbers"),
        ({"U_h": [[1, 2], [3]]}, "parameter 'U_h' must be a table of numbers"),
        ({"b_h": [0.0, math.nan]}, "parameter 'b_h' must be finite"),
    ],
)
def test_bad_parameters_change_nothing(values: dict[str, object], message: str) -> None:
    cell = _gru(size=2)
    before = {name: parameter.clone() for name, parameter in cell.named_parameters()}
    with pytest.raises(UsageError, match=message):
        set_parameters_(cell, {"b_z": [9.0, 9.0], **values})
    assert all(torch.equal(before[name], parameter) for name, parameter in cell.named_parameters())
