from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from restore.problems.compression import was_jpeg
from restore.problems.covariance import NoiseCovariance, estimate_covariance, estimate_dependent_covariance
from restore.problems.noise_models import add_noise

SAMPLES = Path(__file__).parents[2] / "sample_images"


def sample(name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(SAMPLES / f"{name}.png"))[40:200, 40:200]


def planes(image: NDArray[Any]) -> NDArray[np.float32]:
    return np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float32) / 255


def lag(noise: NDArray[Any], down: int, right: int, first: int = 0, second: int = 0) -> float:
    one = noise[first, : noise.shape[1] - down, : noise.shape[2] - right]
    return float((one * noise[second, down:, right:]).mean())


@pytest.mark.parametrize("kind", ["correlated", "demosaicked", "gaussian"])
def test_lags_of_pure_noise_are_those_of_the_noise(kind: str) -> None:
    picture = planes(add_noise(np.full((160, 160, 3), 128, np.uint8), kind, 25))
    noise = picture - picture.mean(axis=(1, 2), keepdims=True)
    found = estimate_covariance(picture)
    assert found is not None
    assert found.sigma == pytest.approx(noise.std(), rel=0.05)
    variance = lag(noise, 0, 0)
    for down, right in [(0, 1), (1, 0), (1, 1), (0, 2), (2, 1), (0, 4)]:
        assert found.lags[0, 0, 4 + down, 4 + right] == pytest.approx(lag(noise, down, right), abs=0.1 * variance)
    np.testing.assert_allclose(found.lags, found.lags.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1], atol=1e-3 * variance)


def test_noise_common_to_the_channels_is_seen() -> None:
    rng = np.random.default_rng(0)
    common, own = rng.normal(0, 0.05, (1, 128, 128)), rng.normal(0, 0.05, (3, 128, 128))
    found = estimate_covariance(0.5 + common + own)
    assert found is not None
    assert found.lags[0, 1, 4, 4] / found.lags[0, 0, 4, 4] == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize("name", ["astronaut", "brick", "camera", "retina", "rocket"])
@pytest.mark.parametrize(("kind", "amount"), [("correlated", 10), ("demosaicked", 25)])
def test_noise_of_real_pictures(name: str, kind: str, amount: float) -> None:
    clean = sample(name)
    noisy = add_noise(clean, kind, amount)
    found = estimate_covariance(planes(noisy))
    assert found is not None
    assert found.sigma == pytest.approx((planes(noisy) - planes(clean)).std(), rel=0.15)


def test_draws_have_the_covariance() -> None:
    lags = np.zeros((2, 2, 9, 9))
    for channel, variance in enumerate((1.0, 0.25)):
        lags[channel, channel, 4, 3:6] = np.array([0.4, 1.0, 0.4]) * variance
    lags[0, 1, 4, 4] = lags[1, 0, 4, 4] = 0.2
    drawn = NoiseCovariance(lags).draw((256, 256), 4, 0)
    one = np.concatenate(list(drawn), axis=1)
    assert lag(one, 0, 0) == pytest.approx(1, abs=0.03)
    assert lag(one, 0, 0, 1, 1) == pytest.approx(0.25, abs=0.01)
    assert lag(one, 0, 0, 0, 1) == pytest.approx(0.2, abs=0.02)
    assert lag(one, 0, 1) == pytest.approx(0.4, abs=0.03)
    assert lag(one, 1, 0) == pytest.approx(0, abs=0.03)


def test_draws_have_the_covariance_of_channels_that_are_shifted() -> None:
    """cov(n_0(p), n_1(p + 1)) is not cov(n_0(p), n_1(p - 1)): a mirrored spectrum would exchange the two."""
    lags = np.zeros((2, 2, 9, 9))
    lags[0, 0, 4, 4] = lags[1, 1, 4, 4] = 1
    lags[0, 1, 4, 5] = lags[1, 0, 4, 3] = 0.6
    drawn = NoiseCovariance(lags).draw((256, 256), 2, 0)
    one = np.concatenate(list(drawn), axis=1)
    assert lag(one, 0, 1, 0, 1) == pytest.approx(0.6, abs=0.02)
    assert lag(one, 0, 1, 1, 0) == pytest.approx(0, abs=0.02)
    found = estimate_covariance(0.5 + 0.1 * drawn[0])
    assert found is not None
    np.testing.assert_allclose(found.lags[0, 1, 4, 3:6], [0, 0, 0.006], atol=5e-4)


@pytest.mark.parametrize(("name", "amount"), [("retina", 20), ("camera", 40), ("cell", 40), ("coffee", 40)])
def test_noise_that_depends_on_the_light_is_measured_by_it(name: str, amount: float) -> None:
    """In each third of the light the deviation is the true one; the flattest patches alone knew that of the dark."""
    clean = np.asarray(Image.open(SAMPLES / f"{name}.png"))
    middle = tuple(slice((length - 192) // 2, (length + 192) // 2) for length in clean.shape[:2])
    noisy, true = planes(add_noise(clean[middle], "sensor", amount)), planes(add_noise(clean[middle], "sensor", 0))
    found = estimate_dependent_covariance(noisy)
    assert found is not None and found.dependence is not None
    assert found.sigma == pytest.approx((noisy - true).std(), rel=0.15)
    assert found.dependence.near > 0.3
    told = found.sigma * found.gain(noisy)
    light = clean[middle].reshape(192, 192, -1).mean(axis=2)
    for low, high in [(0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1)]:
        part = (light >= np.quantile(light, low)) & (light <= np.quantile(light, high))
        measured = np.sqrt(np.square((noisy - true)[:, part]).mean())
        assert np.sqrt(np.square(told[:, part]).mean()) == pytest.approx(measured, rel=0.25)


@pytest.mark.parametrize("name", ["astronaut", "brick", "camera", "cell", "chelsea", "coffee", "retina", "rocket"])
def test_the_texture_of_clean_pictures_is_not_such_noise(name: str) -> None:
    assert estimate_dependent_covariance(planes(sample(name))) is None


def test_the_gain_of_a_part_is_that_of_the_whole_and_blown_out_light_has_none() -> None:
    pixels = planes(add_noise(sample("retina"), "sensor", 20))
    found = estimate_dependent_covariance(pixels)
    assert found is not None
    np.testing.assert_allclose(found.gain(pixels[:, :80])[:, :70], found.gain(pixels)[:, :70])
    white = pixels.copy()
    white[:, :, 100:] = 1
    assert float(found.gain(white)[:, :, 110:].max()) < 0.01


def test_white_noise_is_not_seen_as_correlated_in_bands_either() -> None:
    found = estimate_dependent_covariance(planes(add_noise(sample("retina"), "poisson", 40)))
    assert found is not None and found.dependence is not None
    assert abs(found.dependence.near) < 0.1
    assert found.dependence.span > 1.5


def test_unknown_pixels_are_never_looked_at() -> None:
    picture = planes(add_noise(sample("retina"), "correlated", 20))
    known = np.ones(picture.shape[1:], dtype=bool)
    known[60:70, 20:90] = False
    spoilt = np.where(known, picture, np.float32(0.9))
    for estimate in (estimate_covariance, estimate_dependent_covariance):
        first, second = estimate(picture, known), estimate(spoilt, known)
        assert first is not None
        assert second is not None
        np.testing.assert_array_equal(first.lags, second.lags)


def test_small_and_constant_pictures_have_none() -> None:
    assert estimate_covariance(np.zeros((3, 8, 40))) is None
    assert estimate_covariance(np.full((1, 64, 64), 0.5)) is None
    assert estimate_covariance(np.ones((3, 64, 64))) is None


def test_scaling_keeps_the_shape() -> None:
    found = estimate_covariance(planes(add_noise(np.full((96, 96), 128, np.uint8), "correlated", 20)))
    assert found is not None
    scaled = found.scaled(0.2)
    assert scaled.sigma == pytest.approx(0.2)
    np.testing.assert_allclose(scaled.lags / scaled.sigma**2, found.lags / found.sigma**2)


def test_another_process_estimates_the_same_to_the_last_digit(tmp_path: Path) -> None:
    picture = planes(add_noise(sample("astronaut"), "correlated", 20))
    np.save(tmp_path / "p.npy", picture)
    code = (
        "import numpy as np, sys; from restore.problems.covariance import estimate_covariance as e;"
        "sys.stdout.buffer.write(e(np.load(sys.argv[1])).lags.tobytes())"
    )
    there = subprocess.run([sys.executable, "-c", code, tmp_path / "p.npy"], capture_output=True, check=True).stdout
    here = estimate_covariance(picture)
    assert here is not None
    assert here.lags.tobytes() == there


def jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("name", ["astronaut", "brick", "camera", "retina", "rocket"])
def test_jpeg_is_recognised_wherever_it_is_cut(name: str) -> None:
    noisy = add_noise(sample(name), "gaussian", 10)
    assert was_jpeg(planes(jpeg(noisy, 75)[3:, 5:]))
    assert not was_jpeg(planes(noisy))
    assert not was_jpeg(planes(add_noise(sample(name), "correlated", 10)))
    assert not was_jpeg(planes(add_noise(sample(name), "demosaicked", 10)))
