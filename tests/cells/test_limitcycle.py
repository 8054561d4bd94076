"""The limit-cycle network: exact flow, Floquet multipliers, adjoint norms, and the published range of parameters."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from restore.cells import make_cell, unroll
from restore.cells.draws import orthogonal
from restore.cells.dynamics import (
    adjoint_of_flow,
    autonomous,
    classify,
    find_fixed_points,
    find_limit_cycle,
    flow,
    grid_starts,
    jacobians,
    lyapunov_exponents,
    set_parameters_,
    step_map,
)
from restore.cells.integration import Field
from restore.cells.jacobian import gradient_norms, singular_values
from restore.cells.limitcycle import LimitCycle, rotations
from restore.errors import UsageError

SNIC = math.pi / 21.25
HOPF = math.acos(1 / 1.5)


def _randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _cell(size: int = 6, seed: int = 0, **options: Any) -> LimitCycle:
    return LimitCycle(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64, **options)


def _tanh_block(angle: float, gain: float = 1.5) -> LimitCycle:
    cell = _cell(2, form="tanh")
    set_parameters_(cell, {"W": gain * rotations(torch.tensor([angle], dtype=torch.float64))})
    return cell


def _field(angle: float, gain: float = 1.5) -> Field:
    return autonomous(_tanh_block(angle, gain))


def test_hopf_flow_solves_its_equation() -> None:
    cell = _cell(dt=0.7)
    set_parameters_(cell, {"omega": [0.3, 1.0, -2.0], "log_mu": [0.5, -1.0, 0.0], "log_rho": [0.0, 0.4, -0.3]})
    start = _randn(4, 6)
    torch.testing.assert_close(cell.flow(start), flow(autonomous(cell), start, 0.7, 2000), rtol=0, atol=1e-10)


def test_hopf_flow_is_a_group() -> None:
    once, twice = _cell(dt=0.4), _cell(dt=0.2)
    start = _randn(6)
    torch.testing.assert_close(twice.flow(twice.flow(start)), once.flow(start), rtol=0, atol=1e-14)


def test_hopf_radius_settles_on_rho() -> None:
    cell = _cell()
    with torch.no_grad():
        cell.log_rho.copy_(torch.tensor([0.5, 0.0, -0.5]))
    end = unroll(cell, torch.zeros(400, 6))[-1].detach()
    torch.testing.assert_close(end.view(3, 2).norm(dim=1), cell.log_rho.exp().detach(), rtol=1e-12, atol=0)


def test_drive_is_added_after_the_flow() -> None:
    cell, state, drive = _cell(dt=0.3), _randn(6), _randn(6, seed=1)
    torch.testing.assert_close(cell(drive, state), cell.flow(state) + 0.3 * drive)


def test_hopf_multipliers_are_exact() -> None:
    # The phase turns without stretching, and the radius of every oscillator contracts by E = exp(-2 mu dt) a step.
    cell = _cell(dt=0.1)
    settled = unroll(cell, torch.zeros(400, 6))[-1].detach()
    values = singular_values(cell, torch.zeros(10, 6), settled)
    expected = torch.tensor([1.0] * 3 + [math.exp(-2 * 0.1 * 10)] * 3).double()
    torch.testing.assert_close(values, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("pairs", [1, 2, 5])
def test_k_uncoupled_oscillators_keep_k_directions(pairs: int) -> None:
    for form in ("hopf", "tanh"):
        cell = _cell(2 * pairs, form=form, seed=pairs)
        values = singular_values(cell, torch.zeros(2000, 2 * pairs))
        assert int((values > 1e-3).sum()) == pairs, form
        assert values[0] < 10, form


def test_coupled_oscillators_keep_at_least_one_direction() -> None:
    cell = _cell(6, form="tanh", seed=3)
    basis = orthogonal(6, 6, torch.Generator().manual_seed(3))
    with torch.no_grad():
        cell.W.copy_(basis @ cell.W @ basis.mT)
    coupled = singular_values(cell, torch.zeros(2000, 6))
    assert 0.05 < coupled[0] < 20
    # The contrast: with S cos(theta) < 1 the origin attracts, and nothing of the gradient is left.
    with torch.no_grad():
        cell.W.mul_(0.6)
    assert singular_values(cell, torch.zeros(2000, 6))[0] < 1e-6


@pytest.mark.parametrize("form", ["hopf", "tanh"])
def test_gradients_over_1000_steps_are_those_over_100(form: str) -> None:
    cell = _cell(6, form=form)
    for seed in range(3):
        norms = gradient_norms(cell, torch.zeros(1000, 6), _randn(6, seed=seed))
        ratio = norms[0] / norms[900]  # after 1000 and after 100 steps back
        assert 0.1 < ratio < 10
    vanilla = make_cell("rnn", 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    norms = gradient_norms(vanilla, torch.zeros(1000, 6), _randn(6))
    assert norms[0] / norms[900] < 1e-6


def test_hopf_gradients_settle_to_a_constant() -> None:
    norms = gradient_norms(_cell(2), torch.zeros(1000, 2), _randn(2))
    settled = norms[300:700]
    assert settled.std() / settled.mean() < 1e-12


@pytest.mark.parametrize(("angle", "period", "second"), [(0.2, 48.2, 3e-13), (0.5, 11.84, 0.00581), (0.8, 6.10, 0.595)])
def test_floquet_multipliers_of_a_tanh_block(angle: float, period: float, second: float) -> None:
    field = _field(angle)
    cycle = find_limit_cycle(field, torch.tensor([0.3, 0.1]), transient=100.0)
    assert cycle is not None and cycle.stable
    assert cycle.period == pytest.approx(period, rel=2e-3)
    assert abs(cycle.multipliers[0].item() - 1) < 1e-4
    assert abs(cycle.multipliers[1].item() - second) < 0.005 * second + 1e-12
    # Liouville: det(monodromy) = exp(integral of div f)
    divergence = jacobians(field, cycle.orbit[:-1]).diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    assert torch.linalg.det(cycle.monodromy).item() == pytest.approx(
        math.exp(divergence.mean().item() * cycle.period), abs=1e-9
    )


@pytest.mark.parametrize(
    ("angle", "kinds"),
    [
        (0.05, ["saddle"] * 4 + ["stable node"] * 4 + ["unstable focus"]),
        (SNIC - 1e-3, ["saddle"] * 4 + ["stable node"] * 4 + ["unstable focus"]),
        (SNIC + 1e-3, ["unstable focus"]),
        (HOPF - 1e-3, ["unstable focus"]),
        (HOPF + 1e-3, ["stable focus"]),
    ],
)
def test_published_range_is_between_its_two_bifurcations(angle: float, kinds: list[str]) -> None:
    field = _field(angle)
    points = classify(field, find_fixed_points(field, grid_starts(2)))
    assert sorted(point.kind for point in points) == kinds


def test_the_cycle_fills_the_range_and_nothing_else() -> None:
    start = torch.tensor([0.3, 0.1])
    for angle, exists in ((SNIC - 0.01, False), (SNIC + 0.01, True), (HOPF - 0.05, True), (HOPF + 0.05, False)):
        cycle = find_limit_cycle(_field(angle), start, transient=400.0, dt=0.1, steps=500)
        assert (cycle is not None) == exists, angle


def test_initial_angles_lie_in_the_published_range() -> None:
    cell = _cell(2000, form="tanh")
    cosine, sine = cell.W.diagonal()[::2] / 1.5, cell.W.diagonal(-1)[::2] / 1.5
    angles = torch.atan2(sine, cosine)
    assert math.pi / 21 <= angles.min() < 0.16
    assert 0.81 < angles.max() <= math.pi / 3.8
    assert math.pi / 21 > SNIC
    assert math.pi / 3.8 < HOPF


def test_adjoint_settles_on_the_phase_response_curve() -> None:
    """It becomes periodic, scaled by the projection of lambda(T) on the flow, whatever lambda(T) was."""
    field = _field(0.5)
    cycle = find_limit_cycle(field, torch.tensor([0.3, 0.1]), transient=100.0)
    assert cycle is not None
    finals = _randn(4, 2)
    states, adjoints = adjoint_of_flow(field, cycle.orbit[0], finals, 3 * cycle.period, 1500)
    first, second = adjoints[0], adjoints[500]
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-6)
    projections = finals @ field(states[-1])
    ratios = (projections / projections[0])[:, None].expand(4, 2)
    torch.testing.assert_close(first / first[0], ratios, rtol=1e-3, atol=0)


@pytest.mark.parametrize(
    ("dt", "angle", "low", "high"),
    [
        (1.0, math.pi / 2, -0.94, -0.92),  # locked fast
        (1.0, math.pi / 4, -0.03, -0.01),  # several periodic points, each of its own exponent
        (0.1, 0.5, -3e-3, 3e-3),  # a closed curve
    ],
)
@pytest.mark.parametrize("start", [(0.3, 0.1), (0.1, -0.7)])
def test_large_steps_lock_onto_periodic_points(
    dt: float, angle: float, low: float, high: float, start: tuple[float, float]
) -> None:
    cell = _cell(2, form="tanh", dt=dt)
    set_parameters_(cell, {"W": 1.5 * rotations(torch.tensor([angle], dtype=torch.float64))})
    exponents = lyapunov_exponents(step_map(cell), torch.tensor(start), steps=1000, transient=1000)
    assert low < exponents[0] < high


@pytest.mark.parametrize("form", ["hopf", "tanh"])
def test_field_is_the_limit_of_small_steps(form: str) -> None:
    cell = _cell(6, form=form, dt=1e-6)
    drive, state = _randn(6), _randn(6, seed=1)
    torch.testing.assert_close((cell(drive, state) - state) / 1e-6, cell.field(drive, state), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (7, {}, "needs an even size; got 7, take 8"),
        (4, {"form": "van-der-pol"}, "unknown limitcycle option form 'van-der-pol'"),
        (4, {"dt": 0.0}, "step dt above 0, got 0.0"),
    ],
)
def test_bad_options(size: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_cell("limitcycle", size, **options)
