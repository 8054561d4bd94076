"""Holes: how wide, how filled, where else."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from restore.problems.holes import biharmonic_fill, hole_radius, is_scattered, shifted_copies

Bools = NDArray[np.bool_]


def _empty(shape: tuple[int, int] = (41, 43)) -> Bools:
    return np.zeros(shape, dtype=bool)


def _slow_radius(hole: Bools) -> float:
    """Return the largest distance of a hole's pixel to the nearest known one, pair by pair."""
    known = np.argwhere(~hole)
    return max((math.sqrt(((known - pixel) ** 2).sum(1).min()) for pixel in np.argwhere(hole)), default=0.0)


def test_radius_without_a_hole_is_zero() -> None:
    assert hole_radius(_empty()) == 0


@pytest.mark.parametrize(("width", "radius"), [(1, 1), (2, 1), (3, 2), (4, 2), (9, 5)])
def test_radius_of_a_stroke(width: int, radius: float) -> None:
    hole = _empty()
    hole[10 : 10 + width, 5:38] = True
    assert hole_radius(hole) == radius
    assert hole_radius(hole.T) == radius


@pytest.mark.parametrize("radius", [3, 8, 15])
def test_radius_of_a_disc(radius: int) -> None:
    y, x = np.mgrid[:41, :43]
    assert radius <= hole_radius((y - 20) ** 2 + (x - 21) ** 2 <= radius**2) <= radius + 1


def test_radius_of_missing_pixels_is_that_of_the_widest_cluster() -> None:
    hole = np.random.default_rng(0).random((30, 31)) < 0.5
    assert hole_radius(hole) == pytest.approx(_slow_radius(hole))
    assert hole_radius(hole) < 4


def test_border_of_the_picture_does_not_bound_a_hole() -> None:
    hole = _empty()
    hole[:, :10] = True
    assert hole_radius(hole) == 10


def test_known_pixels_stay_and_the_hole_is_not_looked_at() -> None:
    rng = np.random.default_rng(0)
    picture = rng.random((3, 20, 24), dtype=np.float32)
    hole = rng.random((20, 24)) < 0.4
    filled = biharmonic_fill(picture, hole)
    assert filled.shape == picture.shape
    np.testing.assert_array_equal(filled[:, ~hole], picture[:, ~hole])
    for inside in (0.0, 1.0, -5.0):
        other = picture.copy()
        other[:, hole] = inside
        np.testing.assert_array_equal(biharmonic_fill(other, hole), filled)


def test_a_ramp_is_filled_exactly() -> None:
    y, x = np.mgrid[:20, :24]
    ramp = np.stack([0.1 + 0.02 * y + 0.01 * x, 0.9 - 0.03 * x]).astype(np.float32)
    hole = _empty((20, 24))
    hole[6:14, 8:15] = True
    hole[3, 18:22] = True
    damaged = np.where(hole, np.float32(0), ramp)
    np.testing.assert_allclose(biharmonic_fill(damaged, hole), ramp, atol=1e-5)


def test_the_fill_solves_the_biharmonic_equation_inside() -> None:
    rng = np.random.default_rng(1)
    picture = 0.4 + 0.2 * rng.random((1, 20, 20))
    hole = _empty((20, 20))
    hole[7:12, 6:13] = True
    filled = biharmonic_fill(picture.astype(np.float32), hole)[0].astype(np.float64)

    def laplacian(u: NDArray[np.float64]) -> NDArray[np.float64]:
        return u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] - 4 * u[1:-1, 1:-1]

    twice = laplacian(laplacian(filled))
    assert np.abs(twice[hole[2:-2, 2:-2]]).max() < 1e-5
    assert np.abs(twice[~hole[2:-2, 2:-2]]).max() > 0.1


def test_fill_stays_between_black_and_white() -> None:
    hole = _empty((16, 16))
    hole[4:12, 4:12] = True
    picture = np.indices((16, 16)).sum(0)[None].astype(np.float32) % 2
    filled = biharmonic_fill(picture, hole)
    assert np.isfinite(filled).all()
    assert filled.min() >= 0
    assert filled.max() <= 1


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (2, 2), (1, 5), (4, 3)])
def test_pictures_of_a_few_pixels_can_be_filled(shape: tuple[int, int]) -> None:
    hole = _empty(shape)
    hole[-1, -1] = True
    filled = biharmonic_fill(np.full((1, *shape), 0.25, dtype=np.float32), hole)
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(filled[:, ~hole], 0.25)


def test_copies_are_the_same_hole_elsewhere() -> None:
    hole = torch.zeros(1, 1, 12, 17, dtype=torch.bool)
    hole[..., 2:5, 3:4] = True
    hole[..., 4, 3:9] = True
    every_shift = {torch.roll(hole, (d, r), (-2, -1)).numpy().tobytes() for d in range(12) for r in range(17)}
    generator = torch.Generator().manual_seed(0)
    copies = [shifted_copies(hole, generator) for _ in range(40)]
    assert all(copy.numpy().tobytes() in every_shift for copy in copies)
    assert len({copy.numpy().tobytes() for copy in copies}) > 20
    again = torch.Generator().manual_seed(0)
    assert all(torch.equal(copy, shifted_copies(hole, again)) for copy in copies)


@pytest.mark.parametrize("share", [0.001, 0.05, 0.1, 0.5, 0.8, 0.9, 0.99])
@pytest.mark.parametrize("side", [32, 64, 256])
def test_pixels_missing_by_chance_are_scattered(share: float, side: int) -> None:
    rng = np.random.default_rng(0)
    told = [is_scattered(rng.random((side, side)) < share) for _ in range(10)]
    assert sum(told) >= 9  # chance may leave a wider gap


@pytest.mark.parametrize("width", [5, 9, 20])
def test_strokes_and_patches_are_not_scattered(width: int) -> None:
    hole = _empty((64, 64))
    hole[20 : 20 + width, 4:60] = True
    assert not is_scattered(hole)
    hole |= np.random.default_rng(0).random((64, 64)) < 0.02
    assert not is_scattered(hole)


@pytest.mark.parametrize(("share", "width", "length"), [(0.05, 4, 250), (0.5, 6, 480), (0.01, 3, 60), (0.3, 3, 400)])
def test_strokes_among_scattered_pixels_are_found(share: float, width: int, length: int) -> None:
    hole = np.random.default_rng(0).random((512, 512)) < share
    assert is_scattered(hole)
    hole[100 : 100 + width, 10 : 10 + length] = True
    assert not is_scattered(hole)


def test_nothing_and_everything_missing() -> None:
    assert is_scattered(_empty())
    assert not is_scattered(~_empty())
