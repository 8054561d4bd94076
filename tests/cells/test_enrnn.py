"""ENRNN: the normalisation of the spectral radius, its gradient, and the two states."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from restore.cells import unroll
from restore.cells.enrnn import ENRNN, EigenvalueNormalisation, LongShort
from restore.cells.jacobian import spectral_radius
from restore.cells.scornn import ScoRNN
from restore.errors import UsageError


def _matrix(leading: complex, size: int, generator: torch.Generator) -> Tensor:
    """Return a random real matrix whose eigenvalue of largest modulus is `leading` (or its conjugate)."""
    blocks = torch.zeros(size, size, dtype=torch.float64)
    blocks[2:, 2:] = torch.randn(size - 2, size - 2, generator=generator, dtype=torch.float64) / (4 * size)
    blocks[0, 0], blocks[1, 1] = leading.real, leading.real if leading.imag else 0.1
    blocks[0, 1], blocks[1, 0] = leading.imag, -leading.imag
    basis = torch.randn(size, size, generator=generator, dtype=torch.float64)
    return basis @ blocks @ torch.linalg.inv(basis)


@pytest.mark.parametrize("leading", [1.7 + 0j, -1.3 + 0j, 0.9 + 1.1j, -2 + 0.3j])
@pytest.mark.parametrize("size", [3, 8])
def test_published_gradient(leading: complex, size: int) -> None:
    generator = torch.Generator().manual_seed(size)
    free = _matrix(leading, size, generator).requires_grad_()
    upstream = torch.randn(size, size, generator=generator, dtype=torch.float64)
    weight = EigenvalueNormalisation()(free)
    weight.backward(upstream)
    with torch.no_grad():
        values, right = torch.linalg.eig(free)
        first = values.abs().argmax()
        value, u, v_adjoint = values[first], right[:, first], torch.linalg.inv(right)[first]
        assert abs(value - leading) < 1e-8 or abs(value - leading.conjugate()) < 1e-8
        slope = torch.outer(v_adjoint, u) / (v_adjoint @ u)
        radius = value.abs()
        share = (upstream * weight).sum() * (value.real * slope.real + value.imag * slope.imag)
        published = (upstream - share / radius) / radius
    assert (free.grad - published).norm() <= 1e-10 * published.norm()
    # W does not depend on the scale of T, so its gradient is orthogonal to T.
    assert abs((free.grad * free).sum()) <= 1e-10 * published.norm() * free.norm()


def test_latch() -> None:
    generator = torch.Generator().manual_seed(0)
    normalisation = EigenvalueNormalisation()
    small, large = _matrix(0.5 + 0.1j, 6, generator), _matrix(1.2 + 0.3j, 6, generator)
    assert torch.equal(normalisation(small), small)
    assert spectral_radius(normalisation(large)) == pytest.approx(1, abs=1e-12)
    assert spectral_radius(normalisation(small)) == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(normalisation(3 * small), normalisation(small), rtol=1e-10, atol=1e-12)
    restored = EigenvalueNormalisation()
    restored.load_state_dict(normalisation.state_dict())
    assert torch.equal(restored(small), normalisation(small))


@pytest.mark.parametrize("unitary", [False, True])
def test_spectral_radius_while_training_in_float32(unitary: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    cell = ENRNN(24, short=8, unitary=unitary, generator=generator)
    optimiser = torch.optim.Adam(cell.parameters(), lr=0.02)
    radii = []
    for _ in range(100):
        optimiser.zero_grad()
        cell.W_short.weight.backward(torch.randn(8, 8, generator=generator) - torch.eye(8))
        optimiser.step()
        radii.append(spectral_radius(cell.W_short.weight))
    assert max(radii) <= 1 + 1e-6
    assert radii[0] < 1
    assert radii[-1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("size", [4, 9])
def test_short_part_starts_inside_the_disc_with_rotating_pairs(size: int) -> None:
    cell = ENRNN(size + 4, short=size, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    values = torch.linalg.eigvals(cell.W_short.weight.detach())
    assert values.abs().max() <= 1
    assert (values.imag.abs() > 1e-9).sum() == size - size % 2


def test_recurrence_is_block_triangular() -> None:
    cell = ENRNN(10, short=4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    long, short, coupling = cell.W_long.weight, cell.W_short.weight, cell.W_coupling
    whole = torch.cat((torch.cat((long, coupling), 1), torch.cat((torch.zeros(4, 6), short), 1)))
    state = torch.randn(5, 10, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    following = cell(torch.zeros(5, 10), LongShort(state[:, :6], state[:, 6:]))  # biases of 0: modReLU is the identity
    torch.testing.assert_close(cell.readout(following), state @ whole.T)


def test_unitary_long_part_is_driven_by_real_and_imaginary_halves() -> None:
    generator = torch.Generator().manual_seed(5)
    cell = ENRNN(5, short=2, unitary=True, generator=generator, dtype=torch.float64)
    assert (cell.drive_size, cell.readout_size) == (8, 8)
    drive = torch.randn(8, generator=generator, dtype=torch.float64)
    state = LongShort(
        torch.randn(3, generator=generator, dtype=torch.complex128), torch.randn(2, generator=generator).double()
    )
    following = cell(drive, state)
    into = drive[:6] + cell.W_coupling @ state.short
    expected = cell.W_long.weight @ state.long + torch.complex(into[:3], into[3:])
    torch.testing.assert_close(following.long, expected)
    torch.testing.assert_close(following.short, cell.W_short.weight @ state.short + drive[6:])


def test_without_a_short_part_it_is_scornn() -> None:
    generator = torch.Generator().manual_seed(6)
    cell = ENRNN(9, short=3, negatives=2, generator=generator, dtype=torch.float64)
    control = ScoRNN(6, negatives=2, dtype=torch.float64)
    with torch.no_grad():
        cell.W_coupling.zero_()
        nn.init.uniform_(cell.modrelu_long.bias, -0.3, 0.3, generator=generator)
        control.modrelu.bias.copy_(cell.modrelu_long.bias)
        control.W.parametrizations.weight.original0.copy_(cell.W_long.parametrizations.weight.original0)
    drives = torch.randn(30, 9, generator=generator, dtype=torch.float64)
    drives[:, 6:] = 0
    found = torch.stack([state.long for state in unroll(cell, drives)])
    torch.testing.assert_close(found, torch.stack(unroll(control, drives[:, :6])), rtol=0, atol=1e-12)


def test_an_impulse_fades_from_the_short_state_and_stays_in_the_long_one() -> None:
    cell = ENRNN(16, short=8, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    radius = spectral_radius(cell.W_short.weight)
    assert radius < 1
    generator = torch.Generator().manual_seed(8)
    start = LongShort(*torch.randn(2, 8, generator=generator, dtype=torch.float64))
    with torch.no_grad():
        cell.W_coupling.zero_()
        states = unroll(cell, torch.zeros(400, 16), start)
    assert states[-1].long.norm().item() == pytest.approx(start.long.norm().item(), rel=1e-10)
    rate = (states[-1].short.norm() / states[-101].short.norm()).item() ** 0.01
    assert rate == pytest.approx(radius, rel=0.01)


@pytest.mark.parametrize(("size", "short"), [(1, None), (4, 0), (4, 4)])
def test_both_parts_need_a_unit(size: int, short: int | None) -> None:
    with pytest.raises(UsageError, match="at least one unit each; got"):
        ENRNN(size, short=short)


def test_signs_and_phases_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="drop one"):
        ENRNN(8, unitary=True, negatives=2)
