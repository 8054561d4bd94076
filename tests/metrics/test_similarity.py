from __future__ import annotations

import pytest
import torch
from skimage import data
from skimage.metrics import structural_similarity

from restore.errors import InputError
from restore.metrics import SSIM_VARIANT, ssim


@pytest.mark.parametrize(("height", "width"), [(11, 11), (12, 40), (64, 51)])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("data_range", [1.0, 255.0])
def test_agrees_with_scikit_image_set_to_the_published_variant(
    height: int, width: int, channels: int, data_range: float
) -> None:
    generator = torch.Generator().manual_seed(height + channels)
    picture = torch.from_numpy(data.astronaut()[:height, :width, :channels] / 255.0).movedim(-1, 0)
    noisy = (picture + 0.1 * torch.randn(picture.shape, generator=generator, dtype=picture.dtype)).clamp(0, 1)
    x, y = data_range * picture, data_range * noisy
    expected = structural_similarity(
        x.numpy(),
        y.numpy(),
        data_range=data_range,
        channel_axis=0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert float(ssim(y, x, data_range)) == pytest.approx(expected, abs=1e-6)


def test_equal_images_score_one_and_symmetry_holds() -> None:
    x = torch.rand(2, 3, 16, 20, generator=torch.Generator().manual_seed(0))
    y = x.flip(-1)
    torch.testing.assert_close(ssim(x, x), torch.ones(2, dtype=torch.float64))
    torch.testing.assert_close(ssim(x, y), ssim(y, x))
    assert bool((ssim(x, y) < 0.5).all())


def test_single_precision_of_a_bright_flat_image_loses_nothing() -> None:
    x = torch.full((1, 32, 32), 0.999)
    y = x + 1e-3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    expected = structural_similarity(
        x[0].double().numpy(),
        y[0].double().numpy(),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert float(ssim(y, x)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("size", [(10, 64), (64, 10), (1, 1)])
def test_images_smaller_than_the_window_have_none(size: tuple[int, int]) -> None:
    x = torch.rand(4, 3, *size, generator=torch.Generator().manual_seed(0))
    assert ssim(x, x).shape == (4,)
    assert bool(ssim(x, x).isnan().all())


def test_shapes_must_agree_and_the_variant_has_a_name() -> None:
    with pytest.raises(InputError, match="same size"):
        ssim(torch.zeros(1, 16, 16), torch.zeros(1, 16, 17))
    assert "11x11" in SSIM_VARIANT
