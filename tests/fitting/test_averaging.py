"""The output average against its weights written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from restore.fitting.averaging import OutputAverage


def _images(count: int) -> Tensor:
    return torch.randn(count, 1, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("decay", [0.0, 0.5, 0.9, 0.98, 0.99])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 10, 200])
def test_is_the_weighted_sum(decay: float, count: int) -> None:
    images, average = _images(count), OutputAverage(decay)
    for image in images:
        result = average.update(image)
    d = np.array([min(decay, max(0.0, 1 - 3 / n)) for n in range(1, count + 1)])
    d[0] = 0  # the first image has nothing before it
    weights = np.array([(1 - d[n]) * np.prod(d[n + 1 :]) for n in range(count)])
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(result.numpy(), np.tensordot(weights, images.numpy(), 1), atol=1e-12)


def test_decay_zero_is_the_last_image() -> None:
    average = OutputAverage(0.0)
    for image in _images(6):
        assert torch.equal(average.update(image), image)


def test_noise_of_the_images_goes() -> None:
    average = OutputAverage(0.98)
    for image in _images(500):
        result = average.update(image)
    assert result.std() < 0.2  # 1 for one image; sqrt(0.02 / 1.98) = 0.1 in expectation


def test_the_images_given_are_neither_kept_nor_changed() -> None:
    average, images = OutputAverage(0.9), _images(8)
    before = images.clone()
    for image in images:
        average.update(image)
    assert torch.equal(images, before)
    images.zero_()
    assert average.image is not None
    assert bool(average.image.any())
