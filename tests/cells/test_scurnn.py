"""scuRNN against its equations, in complex and in the released code's real arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from restore.cells import unroll
from restore.cells.cayley import ScaledCayley
from restore.cells.modrelu import modrelu_gain
from restore.cells.scornn import ScoRNN
from restore.cells.scurnn import ScuRNN


def _seeded(size: int, **options: bool) -> ScuRNN:
    return ScuRNN(size, generator=torch.Generator().manual_seed(size), dtype=torch.float64, **options)


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("size", [1, 5, 8])
def test_step_is_the_real_arithmetic_on_rows(size: int, published: bool) -> None:
    cell = _seeded(size, published=published)
    generator = torch.Generator().manual_seed(0)
    drive = torch.randn(3, 2 * size, generator=generator, dtype=torch.float64)
    rows = torch.randn(3, 2 * size, generator=generator, dtype=torch.float64)
    weight = cell.W.weight.detach().mT
    expanded = torch.cat((torch.cat((weight.real, weight.imag), 1), torch.cat((-weight.imag, weight.real), 1)))
    z = rows @ expanded + drive
    epsilon = 1e-5 if published else 0.0
    modulus = torch.sqrt(z[:, :size] ** 2 + z[:, size:] ** 2 + epsilon)
    scale = torch.relu(modulus + cell.modrelu.bias) / (modulus + epsilon)
    found = cell(drive, torch.complex(rows[:, :size], rows[:, size:]))
    torch.testing.assert_close(cell.readout(found), scale.repeat(1, 2) * z, rtol=0, atol=1e-12)


def test_real_data_and_no_phases_give_scornn_with_plain_signs() -> None:
    real, unitary = ScoRNN(6, negatives=0, dtype=torch.float64), _seeded(6)
    generator = torch.Generator().manual_seed(1)
    lower = torch.randn(15, generator=generator, dtype=torch.float64)
    bias = -0.1 * torch.rand(6, generator=generator, dtype=torch.float64)
    with torch.no_grad():
        real.W.parametrizations.weight.original0.copy_(lower)
        vectors = unitary.W.parametrizations.weight
        vectors.original0.copy_(lower)
        vectors.original1.zero_()
        vectors.original2.zero_()
        for cell in (real, unitary):
            cell.modrelu.bias.copy_(bias)
        unitary.h_0.zero_()
    drives = torch.randn(20, 6, generator=generator, dtype=torch.float64)
    expected = torch.stack(unroll(real, drives))
    found = torch.stack(unroll(unitary, torch.cat((drives, torch.zeros_like(drives)), -1)))
    torch.testing.assert_close(found.real, expected, rtol=0, atol=1e-12)
    assert found.imag.abs().max() < 1e-12


def test_phases_are_trainable_and_eigenvalues_stay_on_the_circle() -> None:
    cell = ScuRNN(16, generator=torch.Generator().manual_seed(2))
    parametrisation = cell.W.parametrizations.weight[0]
    assert isinstance(parametrisation, ScaledCayley)
    theta = cell.W.parametrizations.weight.original2
    assert 0 <= theta.min() < theta.max() <= 2 * math.pi
    optimiser = torch.optim.Adam(cell.parameters(), lr=0.1)
    before = theta.detach().clone()
    for _ in range(10):
        optimiser.zero_grad()
        cell.W.weight.real.square().sum().backward()
        optimiser.step()
    assert (theta - before).abs().min() > 1e-3
    moduli = torch.linalg.eigvals(cell.W.weight.detach()).abs()
    torch.testing.assert_close(moduli, torch.ones(16), rtol=0, atol=1e-5)


def test_bias_stays_non_positive_unless_published() -> None:
    def biases_after_pushing_up(cell: ScuRNN) -> Tensor:
        optimiser = torch.optim.SGD(cell.parameters(), lr=0.1)
        for _ in range(3):
            optimiser.zero_grad()
            (-cell.modrelu.bias.sum()).backward()
            optimiser.step()
            cell.project_()
        return cell.modrelu.bias

    assert (_seeded(32).modrelu.bias <= 0).all()
    assert (biases_after_pushing_up(_seeded(32)) == 0).all()
    assert (_seeded(32, published=True).modrelu.bias > 0).any()
    assert (biases_after_pushing_up(_seeded(32, published=True)) > 0.2).all()


def test_published_form_can_stretch_and_the_default_cannot() -> None:
    small = torch.tensor([1e-3])
    assert modrelu_gain(small, 0.01, _seeded(4, published=True).modrelu.epsilon) > 2
    assert modrelu_gain(small, 0.0, _seeded(4).modrelu.epsilon) <= 1 + 1e-12


def test_initial_state_is_trainable_and_small() -> None:
    cell = _seeded(8)
    state = cell.initial((2, 3))
    assert state.shape == (2, 3, 8)
    assert state.dtype == torch.complex128
    assert 0 < state.real.abs().max() <= 0.01
    assert 0 < state.imag.abs().max() <= 0.01
    state.real.sum().backward()
    assert (cell.h_0.grad[0] == 6).all()
