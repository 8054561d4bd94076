"""The strength of white noise is told from the picture, wherever it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from restore.problems.degrade import add_gaussian_noise
from restore.problems.noise import estimate_sigma
from restore.problems.noise_level import NoiseLevel, _Band, _of_bands, estimate_level
from restore.problems.noise_models import add_noise

Pixels = NDArray[np.float32]


@pytest.fixture(scope="module")
def scene() -> NDArray[np.float64]:
    """A smooth picture of all lights, (3, 192, 192)."""
    rng = np.random.default_rng(0)
    smooth = gaussian_filter(rng.normal(size=(3, 192, 192)), (0, 14, 14))
    return 0.5 + 0.16 * smooth / smooth.std()


def noisy(scene: NDArray[np.float64], variance: NDArray[np.float64]) -> Pixels:
    noise = np.random.default_rng(1).normal(size=scene.shape)
    return np.clip(scene + np.sqrt(variance) * noise, 0, 1).astype(np.float32)


@pytest.mark.parametrize("sigma", [3, 10, 25])
def test_the_same_everywhere(scene: NDArray[np.float64], sigma: float) -> None:
    pixels = noisy(scene, np.full_like(scene, (sigma / 255) ** 2))
    level = estimate_level(pixels, estimate_sigma(pixels))
    assert level is not None and not level.varies
    assert np.sqrt(level.constant) == pytest.approx(sigma / 255, rel=0.1)


@pytest.mark.parametrize(("constant", "linear", "quadratic"), [(0.0, 0.01, 0.0), (0.0, 0.0, 0.02), (0.0003, 0.01, 0.0)])
def test_growing_with_the_light(scene: NDArray[np.float64], constant: float, linear: float, quadratic: float) -> None:
    light = scene.clip(0, 1)
    pixels = noisy(light, constant + linear * light + quadratic * light**2)
    level = estimate_level(pixels, estimate_sigma(pixels))
    assert level is not None and level.varies
    true = NoiseLevel(constant, linear, quadratic)
    grid = np.linspace(0.2, 0.8, 7)
    np.testing.assert_allclose(level.sigma(grid), true.sigma(grid), rtol=0.2)


def test_noise_of_two_kinds_is_not_fitted(scene: NDArray[np.float64]) -> None:
    """Strong in the dark and in the bright, weak between: no sensor does that."""
    light = scene.clip(0, 1)
    pixels = noisy(light, np.where(abs(light - 0.5) > 0.12, 0.01, 0.0001))
    assert estimate_level(pixels, estimate_sigma(pixels)) is None


@pytest.mark.parametrize("mean", [0.0, 0.1, 0.5, 1.0])
def test_what_clipping_leaves(mean: float) -> None:
    pixels = np.clip(np.random.default_rng(0).normal(mean, 0.1, (1, 256, 256)), 0, 1).astype(np.float32)
    level = NoiseLevel(0.01)
    assert float(level.at(pixels).mean()) == pytest.approx(float(pixels.std()), rel=0.06)
    assert (float(level.kept(pixels).mean()) > 0.95) == (mean == 0.5)


def test_only_known_pixels_are_looked_at(scene: NDArray[np.float64]) -> None:
    pixels = noisy(scene, np.full_like(scene, 0.0016))
    known = np.random.default_rng(2).random(pixels.shape[1:]) > 0.002
    level = estimate_level(np.where(known, pixels, 0).astype(np.float32), 0.04, known)
    assert level == NoiseLevel(pytest.approx(0.0016, rel=1e-6))


def test_without_noise() -> None:
    level = estimate_level(np.full((1, 64, 64), 0.5, np.float32), 0.0)
    assert level == NoiseLevel(0.0)
    assert float(level.at(np.full((1, 8, 8), 0.5, np.float32)).max()) == 0.0


SAMPLES = Path(__file__).parents[2] / "sample_images"


def middle(name: str, side: int) -> NDArray[np.uint8]:
    """Return the middle of a sample picture."""
    whole = np.asarray(Image.open(SAMPLES / f"{name}.png"))
    top, left = ((length - side) // 2 for length in whole.shape[:2])
    return np.ascontiguousarray(whole[top : top + side, left : left + side])


def unit(levels: NDArray[np.uint8]) -> Pixels:
    planes = levels[None] if levels.ndim == 2 else np.moveaxis(levels, -1, 0)
    return planes.astype(np.float32) / 255


@pytest.mark.parametrize(("kind", "amount"), [("poisson", 40.0), ("speckle", 60.0)])
@pytest.mark.parametrize("name", ["brick", "astronaut", "coffee"])
def test_of_a_small_picture_whose_bands_cannot_be_judged(name: str, kind: str, amount: float) -> None:
    """Its bands lie in pieces; taken for the same everywhere, such noise cost up to 6 dB."""
    clean = middle(name, 96)
    pixels = unit(add_noise(clean, kind, amount))
    level = estimate_level(pixels, estimate_sigma(pixels))
    assert level is not None and level.varies
    light = unit(clean)
    inside = (light > 0.1) & (light < 0.8)
    variance = light**2 if kind == "speckle" else light
    ratio = level.sigma(light[inside]) / np.sqrt(variance[inside])
    assert ratio.std() < 0.2 * ratio.mean()  # the law is right, up to a constant


@pytest.mark.parametrize("side", [96, 160])
@pytest.mark.parametrize("name", ["brick", "astronaut", "camera", "coffee", "cell", "rocket"])
def test_texture_of_a_small_picture_is_not_taken_for_growing_noise(name: str, side: int) -> None:
    pixels = unit(add_gaussian_noise(middle(name, side), 15, 0))
    level = estimate_level(pixels, estimate_sigma(pixels))
    assert level is not None and not level.varies


def test_a_band_that_disagrees_is_no_evidence_of_growth() -> None:
    """Texture in the dark, left out of the fit, must not stand for the weak noise that the law would have there."""
    bands = [_Band(0.5 + 0.02 * k, (10 + 0.35 * k) / 255, "unjudged") for k in range(7)]
    level = _of_bands([*bands, _Band(0.05, 15 / 255, "unjudged")], 11 / 255, 0, 1.5)
    assert level is None or not level.varies
    dark = _of_bands([*bands, _Band(0.05, 1.0 / 255, "unjudged")], 11 / 255, 0, 1.5)
    assert dark is not None and dark.varies
