from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from restore.errors import InputError, UsageError
from restore.problems.degrade import add_gaussian_noise
from restore.problems.noise_models import add_noise
from restore.settings import NOISE_KINDS

GREY = np.full((160, 160), 128, np.uint8)


def deviation(level: int, kind: str, amount: float) -> float:
    return float(add_noise(np.full((200, 200), level, np.uint8), kind, amount).astype(float).std())


@pytest.mark.parametrize("kind", NOISE_KINDS)
@pytest.mark.parametrize("shape", [(40, 30), (40, 30, 3)])
def test_every_kind_keeps_the_shape_follows_the_seed_and_leaves_the_picture(kind: str, shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(1).integers(60, 200, shape, dtype=np.uint8)
    before = picture.copy()
    noisy = add_noise(picture, kind, 20, 3)
    assert noisy.dtype == np.uint8
    assert noisy.shape == shape
    np.testing.assert_array_equal(noisy, add_noise(picture, kind, 20, 3))
    assert (noisy != add_noise(picture, kind, 20, 4)).any()
    np.testing.assert_array_equal(picture, before)


def test_gaussian_is_the_gaussian_of_degrade() -> None:
    np.testing.assert_array_equal(add_noise(GREY, "gaussian", 25, 5), add_gaussian_noise(GREY, 25, 5))


@pytest.mark.parametrize("level", [40, 100, 160])
def test_photons_and_speckle_follow_the_signal(level: int) -> None:
    assert deviation(level, "poisson", 25) == pytest.approx(25 * (level / 255 + 0.04) ** 0.5, rel=0.03)
    assert deviation(level, "speckle", 60) == pytest.approx(60 * level / 255, rel=0.03)


def test_salt_and_pepper_strike_all_channels_half_white_half_black() -> None:
    picture = np.full((200, 200, 3), 128, np.uint8)
    noisy = add_noise(picture, "salt-and-pepper", 20)
    white, black = (noisy == 255).all(2), (noisy == 0).all(2)
    assert ((noisy == 128).all(2) | white | black).all()
    assert white.mean() == pytest.approx(0.1, abs=0.01)
    assert black.mean() == pytest.approx(0.1, abs=0.01)


def test_correlated_noise_has_the_deviation_and_the_correlation_of_its_blur() -> None:
    noise = add_noise(np.full((256, 256, 3), 128, np.uint8), "correlated", 25).astype(float) - 128
    assert noise.std() == pytest.approx(25, rel=0.05)
    for step in (1, 2):
        expected = np.exp(-(step**2) / (4 * 0.8**2))  # a Gaussian with itself is one of twice the variance
        assert np.corrcoef(noise[:, step:].ravel(), noise[:, :-step].ravel())[0, 1] == pytest.approx(expected, abs=0.05)
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.05


def test_a_mosaic_keeps_what_it_saw_and_interpolates_the_rest() -> None:
    rows, columns = np.indices((32, 32))
    ramp = np.stack([3 * rows + 2 * columns, 5 * columns + 10, 4 * rows + 60], axis=2).astype(np.uint8)
    inside = (slice(2, -2), slice(2, -2))
    np.testing.assert_array_equal(add_noise(ramp, "demosaicked", 0)[inside], ramp[inside])
    noise = add_noise(np.full((200, 200, 3), 128, np.uint8), "demosaicked", 20).astype(float) - 128
    assert noise[::2, ::2, 0].std() == pytest.approx(20, rel=0.05)
    assert noise[1::2, 1::2, 0].std() == pytest.approx(10, rel=0.05)  # the mean of four
    assert noise[::2, 1::2, 1].std() == pytest.approx(20, rel=0.05)


def test_jpeg_is_pillows() -> None:
    buffer = io.BytesIO()
    Image.fromarray(add_gaussian_noise(GREY, 15, 2)).save(buffer, format="JPEG", quality=75)
    np.testing.assert_array_equal(add_noise(GREY, "jpeg", 15, 2), np.asarray(Image.open(buffer)))


@pytest.mark.parametrize("kind", NOISE_KINDS)
@pytest.mark.parametrize("amount", [-1.0, float("nan"), float("inf")])
def test_impossible_amounts_are_usage_errors(kind: str, amount: float) -> None:
    with pytest.raises(UsageError, match=str(amount)):
        add_noise(GREY, kind, amount)


def test_unknown_kinds_and_too_much_salt_are_usage_errors() -> None:
    with pytest.raises(UsageError, match="did you mean 'poisson'"):
        add_noise(GREY, "poison", 10)
    with pytest.raises(UsageError, match="101"):
        add_noise(GREY, "salt-and-pepper", 101)
    with pytest.raises(InputError):
        add_noise(np.zeros((2, 2), np.int16), "speckle", 10)
