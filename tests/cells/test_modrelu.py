"""modReLU, its Wirtinger derivatives, and the gradient that has no bound."""

from __future__ import annotations

import pytest
import torch

from restore.cells.modrelu import ModReLU, modrelu, modrelu_gain


@pytest.mark.parametrize("bias", [-0.5, 0.0, 0.3])
def test_real_form_is_the_definition(bias: float) -> None:
    z = torch.linspace(-2, 2, 41, dtype=torch.float64)
    expected = [0.0 if x == 0 else (x / abs(x)) * max(abs(x) + bias, 0.0) for x in z.tolist()]
    torch.testing.assert_close(modrelu(z, torch.tensor(bias, dtype=torch.float64)), torch.tensor(expected).double())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
def test_zero_bias_is_the_identity(dtype: torch.dtype) -> None:
    z = torch.randn(100, dtype=dtype, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(modrelu(z, torch.zeros(100)), z)


def test_complex_form_keeps_the_phase_and_shrinks_the_modulus() -> None:
    z = torch.randn(100, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    value = modrelu(z, torch.tensor(-0.4, dtype=torch.float64))
    torch.testing.assert_close(value.abs(), (z.abs() - 0.4).clamp(min=0))
    alive = z.abs() > 0.4
    torch.testing.assert_close(value[alive].angle(), z[alive].angle())


def test_complex_form_of_real_numbers_is_the_real_form() -> None:
    z = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    bias = torch.linspace(-1, 1, 50, dtype=torch.float64)
    torch.testing.assert_close(modrelu(z.to(torch.complex128), bias).real, modrelu(z, bias))


@pytest.mark.parametrize("bias", [-0.3, 0.2])
def test_wirtinger_derivatives_by_finite_differences(bias: float) -> None:
    z = torch.randn(20, dtype=torch.complex128, generator=torch.Generator().manual_seed(3))
    z = z[z.abs() + bias > 0.05]
    b, step = torch.tensor(bias, dtype=torch.float64), 1e-6
    along_real = (modrelu(z + step, b) - modrelu(z - step, b)) / (2 * step)
    along_imaginary = (modrelu(z + 1j * step, b) - modrelu(z - 1j * step, b)) / (2 * step)
    torch.testing.assert_close((along_real - 1j * along_imaginary) / 2, (1 + bias / (2 * z.abs())) + 0j)
    torch.testing.assert_close((along_real + 1j * along_imaginary) / 2, -bias * z**2 / (2 * z.abs() ** 3))


@pytest.mark.parametrize("bias", [-0.3, 0.0, 0.2])
def test_autograd_agrees_with_finite_differences(bias: float) -> None:
    for dtype in (torch.float64, torch.complex128):
        z = torch.randn(20, dtype=dtype, generator=torch.Generator().manual_seed(4))
        z = z[(z.abs() + bias).abs() > 0.01].requires_grad_()
        b = torch.full((z.numel(),), bias, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(modrelu, (z, b))


def test_gain_has_no_bound_for_a_positive_bias_only() -> None:
    moduli = torch.logspace(-8, 0, 9, dtype=torch.float64)
    torch.testing.assert_close(modrelu_gain(moduli, 0.01), 1 + 0.01 / moduli)
    assert modrelu_gain(moduli, -1e-3).max() <= 1 + 1e-12
    capped = modrelu_gain(moduli, 0.01, epsilon=1e-5)
    assert 3 < capped.max() < 1 + 0.01 * 316.3


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
@pytest.mark.parametrize("epsilon", [0.0, 1e-5])
@pytest.mark.parametrize("bias", [-0.1, 0.0, 0.1])
def test_zero_has_a_finite_gradient(dtype: torch.dtype, epsilon: float, bias: float) -> None:
    z = torch.tensor([0.0, 1e-30, 1e-42], dtype=dtype, requires_grad=True)
    value = modrelu(z, torch.tensor(bias), epsilon)
    assert value[0] == 0
    value.abs().sum().backward()
    assert z.grad[0].isfinite()


def test_bias_is_projected_to_at_most_zero_and_can_come_back() -> None:
    layer = ModReLU(4, spread=0.01, nonpositive=True, generator=torch.Generator().manual_seed(5))
    assert (layer.bias <= 0).all()
    assert (layer.bias < 0).any()
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([0.5, 0.0, -0.1, -0.2]))
    layer.project_()
    assert torch.equal(layer.bias.float(), torch.tensor([0.0, 0.0, -0.1, -0.2]))
    layer(torch.ones(4, dtype=torch.complex128)).real.sum().backward()
    assert (layer.bias.grad == 1).all()  # at 0 too: the projection leaves the gradient alone

    free = ModReLU(64, spread=0.01, generator=torch.Generator().manual_seed(5))
    before = free.bias.clone()
    free.project_()
    assert torch.equal(free.bias, before)
    assert (free.bias > 0).any()
