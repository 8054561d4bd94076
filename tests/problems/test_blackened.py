"""Black pixels that look as if they were missing, and those that do not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from restore.problems.blackened import black_among_bright
from restore.problems.examination import examine

Array = np.ndarray[Any, Any]


@pytest.fixture
def bright() -> Array:
    """A picture of shades, (3, 64, 80) in [0.4, 0.8]."""
    rows, columns = np.mgrid[0:64, 0:80]
    return np.stack([0.6 + 0.2 * np.sin(rows / 7 + phase) * np.cos(columns / 9) for phase in range(3)]).astype("f4")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_pixels_that_were_taken_out_are_seen(bright: Array, share: float) -> None:
    gone = np.random.default_rng(0).random(bright.shape[1:]) < share
    assert black_among_bright(np.where(gone, 0, bright)) == pytest.approx(gone.mean())


def test_what_denoising_says_of_them(bright: Array) -> None:
    gone = np.random.default_rng(0).random(bright.shape[1:]) < 0.5
    said = [warning for warning in examine(np.where(gone, 0, bright)).warnings if "restore inpaint" in warning]
    assert len(said) == 1 and f"{gone.mean():.0%} of the pixels are black" in said[0]
    assert not any("restore inpaint" in warning for warning in examine(bright).warnings)


def test_black_shapes_are_part_of_the_picture(bright: Array) -> None:
    bright[:, 10:40, 20:60] = 0
    bright[:, :, 70:73] = 0
    assert black_among_bright(bright) == 0


def test_noise_that_was_clipped_at_black_is_none_of_them() -> None:
    noise = np.random.default_rng(0).normal(0.02, 0.2, (1, 64, 80))
    assert ((noise <= 0).mean()) > 0.3 and black_among_bright(noise.clip(0, 1)) == 0


def test_impulses_are_known_already(bright: Array) -> None:
    struck = np.random.default_rng(0).random(bright.shape[1:]) < 0.2
    assert black_among_bright(np.where(struck, 0, bright), ~struck) == 0
