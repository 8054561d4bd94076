from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage import data

from restore.problems.degrade import add_gaussian_noise, random_mask
from restore.problems.noise import CORRELATION_THRESHOLD, NoiseCorrelation, estimate_sigma, noise_correlation

Array = NDArray[np.floating[Any]]
PICTURES = {
    "astronaut": lambda: data.astronaut()[:256, :256],
    "camera": lambda: data.camera()[100:356, 100:356],
    "chelsea": lambda: data.chelsea()[20:276, 100:356],
    "coffee": lambda: data.coffee()[:256, 100:356],
    "brick": lambda: data.brick()[:256, :256],
    "cell": lambda: data.cell()[200:456, 150:406],
    "retina": lambda: data.retina()[600:856, 600:856],
    "rocket": lambda: data.rocket()[:256, 200:456],
    "clock": lambda: data.clock()[:256, 60:316],
    "motorcycle": lambda: data.stereo_motorcycle()[0][100:356, 200:456],
}


def planes(image: NDArray[Any]) -> NDArray[np.float32]:
    return np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float32) / 255


def noisy(name: str, sigma: float, seed: int = 0) -> NDArray[np.float32]:
    return planes(add_gaussian_noise(PICTURES[name](), sigma, seed))


@pytest.mark.parametrize("sigma", [10, 15, 25, 50])
def test_sigma_of_real_pictures_with_clipped_and_rounded_noise(sigma: float) -> None:
    errors = np.array([255 * estimate_sigma(noisy(name, sigma)) / sigma - 1 for name in PICTURES])
    assert np.abs(errors).mean() < 0.03, dict(zip(PICTURES, errors.round(3), strict=True))
    assert np.abs(errors).max() < 0.08, dict(zip(PICTURES, errors.round(3), strict=True))


@pytest.mark.parametrize("level", [0.0, 0.05, 0.9, 1.0])
def test_clipping_is_undone(level: float) -> None:
    picture = planes(add_gaussian_noise(np.full((128, 128, 3), level), 40))
    assert picture.std() < 0.95 * 40 / 255
    assert 255 * estimate_sigma(picture) == pytest.approx(40, rel=0.04)


def test_scale_and_channel_order_do_not_matter() -> None:
    x = noisy("chelsea", 20)
    shrunk = estimate_sigma(0.25 + x / 2)
    assert shrunk == pytest.approx(estimate_sigma(x) / 2, rel=0.02)
    assert estimate_sigma(x[::-1]) == pytest.approx(estimate_sigma(x), rel=1e-4)


def test_grey_stored_as_colour_is_grey() -> None:
    x = noisy("camera", 25)
    assert estimate_sigma(np.repeat(x, 3, axis=0)) == estimate_sigma(x)


def test_tensors_arrays_and_precisions_agree() -> None:
    x = noisy("coffee", 15)[:, :96, :96]
    value = estimate_sigma(x)
    assert isinstance(value, float)
    assert estimate_sigma(torch.from_numpy(x)) == value
    assert estimate_sigma(x.astype(np.float64)) == value


@pytest.mark.parametrize("missing", [0.1, 0.5])
def test_holes_are_never_looked_at(missing: float) -> None:
    x = noisy("astronaut", 25)
    known = ~random_mask((256, 256), missing, seed=3)
    expected = estimate_sigma(x, known)
    assert 255 * expected == pytest.approx(25, rel=0.1)
    for filling in (0.0, 1.0, math.nan):
        assert estimate_sigma(np.where(known, x, np.float32(filling)), known) == expected
        assert (
            estimate_sigma(torch.from_numpy(x).where(torch.from_numpy(known), torch.tensor(filling)), known) == expected
        )
    # NaN pixels count as unknown whether or not a mask says so.
    assert estimate_sigma(np.where(known, x, np.float32(math.nan))) == expected


@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (3, 1, 1), (1, 1, 16), (3, 16, 1), (1, 2, 2), (3, 5, 7), (1, 16, 16), (3, 13, 13)]
)
def test_tiny_pictures_have_a_finite_sigma(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(0.5, 0.1, shape)
    value = estimate_sigma(x)
    assert math.isfinite(value)
    assert value >= 0
    if x[0].size >= 35:
        assert value == pytest.approx(0.1, rel=0.25)
    if x[0].size == 1:
        assert value == 0


@pytest.mark.parametrize(
    "picture",
    [
        np.full((1, 64, 64), 0.5),
        np.zeros((3, 8, 8)),
        np.ones((3, 64, 64)),
        (np.indices((64, 64)).sum(axis=0) // 8 % 2.0)[None],
        (0.2 + 0.5 * (np.indices((64, 64)).sum(axis=0) // 40 % 2.0))[None],
    ],
    ids=["grey", "black", "white", "binary", "two tones"],
)
def test_pictures_without_noise_have_sigma_zero(picture: Array) -> None:
    assert estimate_sigma(picture) == 0


def test_no_known_pixels_means_no_sigma() -> None:
    x = noisy("camera", 25)[:, :32, :32]
    nothing = np.zeros((32, 32), dtype=bool)
    assert estimate_sigma(x, nothing) == 0
    checkerboard = np.indices((32, 32)).sum(axis=0) % 2 == 0
    assert estimate_sigma(x, checkerboard) == 0


def test_a_drawn_border_does_not_hide_the_noise() -> None:
    x = np.full((3, 192, 192), 0.9, dtype=np.float32)
    x[:, 24:-24, 24:-24] = noisy("chelsea", 25)[:, :144, :144]
    assert 255 * estimate_sigma(x) == pytest.approx(25, rel=0.05)


@pytest.mark.parametrize("sigma", [10, 15, 25, 50])
def test_white_noise_is_not_flagged(sigma: float) -> None:
    for name in PICTURES:
        found = noise_correlation(noisy(name, sigma))
        assert found.coefficient is not None, name
        assert not found.correlated, (name, found)
        assert abs(found.coefficient) < CORRELATION_THRESHOLD, (name, found)


def box(noise: Array) -> Array:
    return ndimage.uniform_filter(noise, (3, 3, 1))


def gaussian(noise: Array) -> Array:
    return ndimage.gaussian_filter(noise, (0.7, 0.7, 0))


@pytest.mark.parametrize("blur", [box, gaussian])
@pytest.mark.parametrize("sigma", [25, 50])
def test_blurred_noise_is_flagged(blur: Any, sigma: float) -> None:
    for name, crop in PICTURES.items():
        clean = np.atleast_3d(crop()) / 255
        noise = blur(np.random.default_rng(0).normal(0, sigma / 255, clean.shape))
        found = noise_correlation(planes(add_gaussian_noise((clean + noise).clip(0, 1), 0)))
        assert found.correlated, (name, found)
        assert found.coefficient is not None
        assert found.coefficient > CORRELATION_THRESHOLD


def test_noise_interpolated_from_a_colour_filter_array_is_flagged() -> None:
    rows, columns = np.indices((256, 256))
    red, blue = (rows % 2 == 0) & (columns % 2 == 0), (rows % 2 == 1) & (columns % 2 == 1)
    cross = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    square = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    filters = ((red, square), (~red & ~blue, cross), (blue, square))
    for name in ("astronaut", "chelsea", "coffee", "rocket"):
        x = noisy(name, 15)
        interpolated = [
            ndimage.convolve(c * site, kernel, mode="mirror") for c, (site, kernel) in zip(x, filters, strict=True)
        ]
        assert noise_correlation(np.stack(interpolated)).correlated, name


def test_clean_pictures_have_no_noise_to_judge() -> None:
    for name, crop in PICTURES.items():
        found = noise_correlation(planes(crop()))
        assert (found.coefficient, found.correlated) == (None, False), (name, found)
        assert found.reason is not None
    assert "texture" in str(noise_correlation(planes(data.grass()[:256, :256])).reason)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 9, 9), (1, 64, 7)])
def test_pictures_too_small_to_judge_say_so(shape: tuple[int, ...]) -> None:
    found = noise_correlation(np.random.default_rng(0).normal(0.5, 0.1, shape))
    assert found == NoiseCorrelation(None, False, "too few patches are known and not saturated")


def test_correlation_is_judged_on_known_pixels_only() -> None:
    x = noisy("coffee", 25)
    known = np.ones((256, 256), dtype=bool)
    known[100:110] = False
    spoilt = np.where(known, x, ndimage.uniform_filter(x, (0, 9, 9)))
    assert noise_correlation(spoilt, torch.from_numpy(known)) == noise_correlation(x, known)
