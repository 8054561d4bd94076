from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from restore.errors import InputError, UsageError
from restore.metrics import mc_divergence, mse, sure


def blur(y: torch.Tensor) -> torch.Tensor:
    """A linear denoiser whose matrix has 0.4 on its diagonal, whatever the boundary."""
    kernel = torch.tensor([[0.05, 0.1, 0.05], [0.1, 0.4, 0.1], [0.05, 0.1, 0.05]], dtype=y.dtype)
    planes = y.reshape(-1, 1, *y.shape[-2:])
    return functional.conv2d(planes, kernel[None, None], padding=1).reshape(y.shape)


def test_divergence_of_a_linear_denoiser_is_its_trace() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.rand(200, 1, 12, 12, generator=generator, dtype=torch.float64)
    estimates = mc_divergence(blur, y, generator)
    assert estimates.shape == (200,)
    spread = float(estimates.std()) / 200**0.5
    assert abs(float(estimates.mean()) - 0.4 * 144) < 4 * spread
    assert spread < 1.0


def test_divergence_agrees_with_the_jacobian_of_a_smooth_denoiser() -> None:
    generator = torch.Generator().manual_seed(1)
    y = torch.rand(1, 4, 4, generator=generator, dtype=torch.float64)

    def denoiser(image: torch.Tensor) -> torch.Tensor:
        return torch.sin(3 * image)

    jacobian = torch.autograd.functional.jacobian(denoiser, y).reshape(16, 16)
    assert float(mc_divergence(denoiser, y, generator, epsilon=1e-6)) == pytest.approx(
        float(jacobian.trace()), rel=1e-4
    )


def test_the_same_generator_state_gives_the_same_divergence() -> None:
    y = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0))
    first, second = (mc_divergence(blur, y, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("sigma", [0.02, 0.1])
def test_expectation_is_the_true_error(sigma: float) -> None:
    generator = torch.Generator().manual_seed(2)
    ramp = torch.linspace(0, 1, 32, dtype=torch.float64)
    clean = (0.5 + 0.3 * torch.sin(6 * ramp[:, None] + 9 * ramp)).expand(300, 3, 32, 32)
    y = clean + sigma * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    estimate = blur(y)
    error = sure(y, estimate, mc_divergence(blur, y, generator), sigma) - mse(estimate, clean)
    assert abs(float(error.mean())) < 4 * float(error.std()) / 300**0.5
    assert float(error.std()) < 0.3 * float(mse(y, clean).mean())


def test_extremes_the_identity_costs_the_noise_and_a_constant_the_signal() -> None:
    generator = torch.Generator().manual_seed(3)
    clean = torch.full((1, 64, 64), 0.5, dtype=torch.float64)
    y = clean + 0.1 * torch.randn(clean.shape, generator=generator, dtype=torch.float64)
    assert float(sure(y, y, y.numel(), 0.1)) == pytest.approx(0.01)
    assert float(sure(y, clean, 0.0, 0.1)) == pytest.approx(float(mse(y, clean)) - 0.01)


def test_bad_arguments_are_named() -> None:
    y = torch.zeros(1, 4, 4)
    with pytest.raises(UsageError, match="-1"):
        sure(y, y, 0.0, -1.0)
    with pytest.raises(InputError, match="same size"):
        sure(y, y[..., :3], 0.0, 0.1)
    with pytest.raises(UsageError, match="epsilon"):
        mc_divergence(blur, y, torch.Generator(), epsilon=0.0)
