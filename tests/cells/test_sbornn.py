"""SBO-RNN against gradient descent on its energy by autograd."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from restore.cells import make_cell, unroll
from restore.cells.jacobian import singular_values
from restore.cells.sbornn import SBORNN
from restore.errors import UsageError

tolerances = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])


def _randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def _cell(size: int = 6, dtype: torch.dtype = torch.float64, **options: object) -> SBORNN:
    return SBORNN(size, generator=torch.Generator().manual_seed(1), dtype=dtype, **options)  # type: ignore[arg-type]


def _energy(cell: SBORNN, drive: Tensor, hidden: Tensor) -> Tensor:
    """F, written once more from P and Q."""
    linear = hidden + hidden @ cell.Q.mT @ cell.P.mT + drive
    return 0.5 * (hidden - linear.clamp(min=0)).pow(2).sum()


@tolerances
def test_update_is_a_step_down_the_energy(dtype: torch.dtype, tolerance: float) -> None:
    cell = _cell(dtype=dtype, rate=0.1, rank=3)
    drive, hidden = _randn(5, 6, dtype=dtype), _randn(5, 6, seed=1, dtype=dtype).requires_grad_()
    (gradient,) = torch.autograd.grad(_energy(cell, drive, hidden), hidden)
    torch.testing.assert_close(cell.gradient(drive, hidden), gradient, rtol=0, atol=10 * tolerance)
    torch.testing.assert_close(cell(drive, hidden) - hidden, -0.1 * gradient, rtol=0, atol=tolerance)
    torch.testing.assert_close(cell.energy(drive, hidden).sum(), _energy(cell, drive, hidden))


@pytest.mark.parametrize(("lower_level", "nesterov"), [("shb", False), ("snag", True)])
def test_accelerated_lower_levels_are_torch_sgd_in_disguise(lower_level: str, nesterov: bool) -> None:
    """torch's SGD takes the Nesterov step from the point we call h, so its iterates are ours."""
    cell = _cell(lower_level=lower_level, rate=0.05, momentum=0.7)
    drives = _randn(20, 6)
    hidden = torch.zeros(6, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([hidden], lr=0.05, momentum=0.7, nesterov=nesterov)
    for drive, state in zip(drives, unroll(cell, drives), strict=True):
        optimiser.zero_grad()
        _energy(cell, drive, hidden).backward()
        optimiser.step()
        torch.testing.assert_close(cell.readout(state), hidden.detach(), rtol=0, atol=1e-12)


def test_without_momentum_all_three_are_one() -> None:
    drives = _randn(10, 6)
    ends = []
    for lower_level in ("sgd", "shb", "snag"):
        cell = _cell(lower_level=lower_level, momentum=0.0, rate=0.1)
        ends.append(cell.readout(unroll(cell, drives)[-1]))
    torch.testing.assert_close(ends[1], ends[0], rtol=0, atol=1e-14)
    torch.testing.assert_close(ends[2], ends[0], rtol=0, atol=1e-14)


def test_energy_falls_under_a_constant_drive() -> None:
    cell = _cell(rate=0.05)
    drive = _randn(6)
    states = unroll(cell, drive.expand(200, 6), _randn(6, seed=2))
    energies = torch.stack([cell.energy(drive, state) for state in states])
    assert (energies.diff() <= 1e-15).all()
    assert energies[-1] < 0.5 * energies[0]


def test_identity_recurrence_rests_in_the_positive_orthant() -> None:
    cell = _cell()
    with torch.no_grad():
        cell.P.zero_()
    hidden = _randn(6).abs()
    assert torch.equal(cell(torch.zeros(6), hidden), hidden)


def test_jacobian_of_a_step_is_as_derived() -> None:
    cell = _cell(rate=0.1)
    drive, hidden = _randn(6), _randn(6, seed=3)
    mask = ((cell.U @ hidden + drive) > 0).double().diag()
    descent = torch.eye(6, dtype=torch.float64) - mask @ cell.U
    expected = torch.eye(6, dtype=torch.float64) - 0.1 * descent.mT @ descent
    found = torch.autograd.functional.jacobian(lambda h: cell(drive, h), hidden)
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-14)


def test_neither_vanishing_nor_exploding_at_the_published_rate() -> None:
    cell = _cell(size=16)
    values = singular_values(cell, 0.1 * _randn(784, 16))
    assert values[0] <= 1 + 1e-12
    assert values[-1] > 1e-2


def test_low_rank_factors_learn() -> None:
    cell = _cell(rank=2, rate=0.1)
    assert (cell.P.shape, cell.Q.shape) == ((6, 2), (2, 6))
    assert torch.linalg.matrix_rank(cell.U - torch.eye(6, dtype=torch.float64)) == 2
    unroll(cell, _randn(5, 3, 6))[-1].square().sum().backward()
    assert cell.P.grad is not None and cell.Q.grad is not None
    assert cell.P.grad.abs().max() > 0 and cell.Q.grad.abs().max() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lower_level": "adam"}, "unknown sbornn option lower_level 'adam'"),
        ({"rate": 0.0}, "rate above 0, got 0.0"),
        ({"momentum": 1.0}, "momentum of at least 0 and below 1, got 1.0"),
        ({"rank": 7}, "rank from 1 to 6, got 7"),
    ],
)
def test_bad_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_cell("sbornn", 6, **options)
