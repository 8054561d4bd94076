from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from restore.errors import InputError
from restore.metrics import mse, psnr


def pair(
    shape: tuple[int, ...], dtype: torch.dtype = torch.float64, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator, dtype=dtype)
    return x, (x + 0.1 * torch.randn(shape, generator=generator, dtype=dtype)).clamp(0, 1)


@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 16, 9)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_image_agrees_with_scikit_image(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    x, y = pair(shape, dtype)
    a, b = x.double().numpy(), y.double().numpy()
    assert float(mse(y, x)) == pytest.approx(mean_squared_error(a, b), rel=1e-12)
    assert float(psnr(y, x)) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=1.0), abs=1e-9)
    assert float(psnr(255 * y, 255 * x, data_range=255.0)) == pytest.approx(float(psnr(y, x)), abs=1e-4)


def test_a_stack_gives_one_number_an_image() -> None:
    x, y = pair((2, 4, 3, 6, 5))
    stacked = psnr(y, x)
    assert stacked.shape == (2, 4)
    assert float(stacked[1, 2]) == pytest.approx(float(psnr(y[1, 2], x[1, 2])))


def test_equal_images_are_infinitely_good() -> None:
    x, _ = pair((3, 4, 4), torch.float32)
    assert float(psnr(x, x)) == math.inf
    assert float(mse(x, x)) == 0


def test_only_the_pixels_of_the_mask_count() -> None:
    x, y = pair((2, 3, 8, 8))
    where = torch.zeros(8, 8, dtype=torch.bool)
    where[2:5, 1:4] = True
    expected = np.square((x - y).numpy()[:, :, 2:5, 1:4]).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(mse(y, x, where=where).numpy(), expected, rtol=1e-12)
    spoilt = torch.where(where, y, torch.zeros(()))
    assert torch.equal(psnr(spoilt, x, where=where), psnr(y, x, where=where))


def test_whole_mask_equals_no_mask() -> None:
    x, y = pair((3, 8, 6))
    assert float(mse(y, x, where=torch.ones(8, 6, dtype=torch.bool))) == pytest.approx(float(mse(y, x)), rel=1e-12)


def test_what_cannot_be_compared_is_an_input_error() -> None:
    x, y = pair((3, 8, 6))
    with pytest.raises(InputError, match=r"\(3, 8, 6\).*\(1, 8, 6\)"):
        mse(y, x[:1])
    with pytest.raises(InputError, match="no pixel"):
        psnr(y, x, where=torch.zeros(8, 6, dtype=torch.bool))
    with pytest.raises(InputError, match="does not fit"):
        psnr(y, x, where=torch.ones(6, 8, dtype=torch.bool))
    with pytest.raises(InputError, match=r"\(\.\.\., C, H, W\)"):
        mse(y[0], x[0])
