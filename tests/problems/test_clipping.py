"""What clipping does to noise, against numerical integration, and that it is undone where it was done."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.stats import norm

from restore.problems.clipping import (
    BOTH,
    Ends,
    clipped_ends,
    clipped_moments,
    retained_variance,
    undo_clipping,
    undoing_slope,
)
from restore.problems.noise_level import NoiseLevel, estimate_level

LIGHTS = np.array([0.0, 0.02, 0.1, 0.5, 0.93, 1.0])


def integrated(light: float, deviation: float, ends: Ends) -> tuple[float, float]:
    """Return the mean and the variance of clipped noise by quadrature."""
    low, high = (0.0 if ends[0] else -np.inf), (1.0 if ends[1] else np.inf)

    def moment(power: int) -> float:
        bounds = (light - 12 * deviation, light + 12 * deviation)
        inner = [end for end in (0.0, 1.0) if bounds[0] < end < bounds[1]]
        return quad(
            lambda z: np.clip(z, low, high) ** power * norm.pdf(z, light, deviation), *bounds, points=inner, limit=200
        )[0]

    mean = moment(1)
    return mean, moment(2) - mean**2


@pytest.mark.parametrize("ends", [BOTH, (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("deviation", [0.02, 0.2])
def test_the_moments_are_those_of_an_integral(deviation: float, ends: Ends) -> None:
    mean, variance = clipped_moments(LIGHTS, np.full_like(LIGHTS, deviation), ends)
    expected = np.array([integrated(light, deviation, ends) for light in LIGHTS])
    np.testing.assert_allclose(mean, expected[:, 0], atol=1e-6)
    np.testing.assert_allclose(variance, expected[:, 1], atol=1e-6)


def test_unclipped_noise_keeps_its_variance_and_its_mean() -> None:
    np.testing.assert_allclose(retained_variance(LIGHTS, 0.2, (False, False)), 1, rtol=1e-9)
    np.testing.assert_allclose(undo_clipping(LIGHTS, 0.2, (False, False)), LIGHTS, atol=1e-9)


@pytest.mark.parametrize("ends", [BOTH, (True, False), (False, True)])
@pytest.mark.parametrize("sigma", [0.02, 0.2, NoiseLevel(0.001, 0.02).sigma])
def test_the_light_comes_back_from_the_mean(sigma: float, ends: Ends) -> None:
    deviation = sigma(LIGHTS) if callable(sigma) else np.full_like(LIGHTS, sigma)
    mean, _ = clipped_moments(LIGHTS, deviation, ends)
    light, slope = undo_clipping(mean, sigma, ends), undoing_slope(mean, sigma, ends)
    np.testing.assert_allclose(light, LIGHTS, atol=1e-4)
    inner = LIGHTS[1:-1]
    step = 1e-3
    around = [
        clipped_moments(inner + by, sigma(inner + by) if callable(sigma) else deviation[1:-1], ends)[0]
        for by in (-step, step)
    ]
    np.testing.assert_allclose(slope[1:-1], 2 * step / (around[1] - around[0]), rtol=0.01)


def test_means_beyond_black_and_white_are_black_and_white() -> None:
    beyond = np.array([-0.1, 0.0, 1.0, 1.2])
    np.testing.assert_array_equal(undo_clipping(beyond, 0.1), [0, 0, 1, 1])
    slope = undoing_slope(beyond, 0.1)
    assert np.isfinite(slope).all() and (slope > 0).all()


@pytest.fixture(scope="module")
def ramp() -> NDArray[np.float64]:
    """From black to white, with wide ends, (1, 128, 128)."""
    return np.tile(np.linspace(-0.4, 1.4, 128).clip(0, 1), (1, 128, 1))


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.0, 1.0), (0.3, 1.0), (0.0, 0.7)],  # the last two: the values of one end lie in the middle of the range
)
def test_ends_are_clipped_where_values_lie_at_them(ramp: NDArray[np.float64], low: float, high: float) -> None:
    sigma = 0.1
    noisy = np.clip(ramp + np.random.default_rng(0).normal(0, sigma, ramp.shape), 0, 1)
    level = estimate_level(noisy.astype(np.float32), sigma)
    assert level is not None and level.ends == BOTH
    # The same noise after its clipping, on a picture whose white and black are no longer those of the file.
    narrowed = low + (high - low) * noisy
    assert clipped_ends(narrowed, 3 * sigma) == (low == 0, high == 1)


def test_a_clean_drawing_is_not_taken_for_clipped() -> None:
    """White paper without noise says nothing: the pale grey beside it must not become white."""
    drawing = np.ones((1, 128, 128), np.float32)
    drawing[:, 16:48], drawing[:, 80:96] = 0.93, 0.5
    level = estimate_level(drawing, 50 / 255)
    assert level is not None and not level.ends[1]
    np.testing.assert_array_equal(level.unclipped(drawing), drawing)


def test_a_border_without_noise_says_nothing(ramp: NDArray[np.float64]) -> None:
    """Dark, but not black, with weak noise, beside bars of pure black: these must not draw it down."""
    sigma = 10 / 255
    dark = 0.1 + 0.3 * ramp
    noisy = np.clip(dark + np.random.default_rng(0).normal(0, sigma, ramp.shape), 0.05, 1)
    noisy[:, :16] = noisy[:, -16:] = 0
    level = estimate_level(noisy.astype(np.float32), sigma)
    assert level is not None and not level.ends[0]


@pytest.mark.parametrize("impulses", [0.05, 0.2])
def test_impulses_beside_a_border_change_nothing(ramp: NDArray[np.float64], impulses: float) -> None:
    """Unknown pixels are no light: else the mean around them is not black where all that is known is."""
    rng = np.random.default_rng(0)
    noisy = np.clip(0.1 + 0.3 * ramp + rng.normal(0, 10 / 255, ramp.shape), 0.05, 1)
    noisy[:, :16] = noisy[:, -16:] = 0
    struck = rng.random(ramp.shape[1:]) < impulses
    noisy[:, struck] = rng.integers(0, 2, (1, int(struck.sum())))
    assert not clipped_ends(noisy, 10 / 255, ~struck)[0]


def test_without_a_value_at_an_end_nothing_was_clipped() -> None:
    assert clipped_ends(np.full((1, 32, 32), 0.5), 2 / 255) == (False, False)
    assert clipped_ends(np.tile(np.eye(2).repeat(16, 0).repeat(16, 1), (1, 1, 1)), 2 / 255) == (False, False)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_drawn_part_has_no_noise(ramp: NDArray[np.float64], value: float) -> None:
    """Whether or not the rest of the picture reaches that end."""
    sigma = 10 / 255
    noisy = (0.3 + 0.4 * ramp + np.random.default_rng(0).normal(0, sigma, ramp.shape)).astype(np.float32)
    noisy[:, :20] = value
    level = estimate_level(noisy, sigma)
    assert level is not None and level.ends == (False, False)
    strength = level.at(noisy)
    assert float(strength[:, :16].max()) < 0.05 * sigma
    assert float(strength[:, 30:].min()) == pytest.approx(level.sigma(np.array(0.5)), rel=1e-3)


def test_pixels_that_are_not_known_say_nothing(ramp: NDArray[np.float64]) -> None:
    noisy = np.clip(0.3 + 0.4 * ramp + np.random.default_rng(0).normal(0, 0.04, ramp.shape), 0, 1).astype(np.float32)
    known = np.random.default_rng(1).random(ramp.shape[1:]) > 0.02
    black = np.where(known, noisy, 0)
    assert clipped_ends(black, 0.04)[0]
    assert not clipped_ends(black, 0.04, known)[0]


def test_a_clean_picture_is_not_taken_for_clipped(ramp: NDArray[np.float64]) -> None:
    """A sigma that is told, and is not there, must not move what is nearly white."""
    pale = (0.05 + 0.9 * ramp).astype(np.float32)
    level = estimate_level(pale, 50 / 255)
    assert level is not None and level.ends == (False, False)
    np.testing.assert_array_equal(level.unclipped(pale), pale)
    np.testing.assert_array_equal(level.unclipping_slope(pale), 1)
