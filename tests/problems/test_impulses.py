from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from restore.problems.impulses import find_impulses
from restore.problems.noise_models import add_noise

SAMPLES = Path(__file__).parents[2] / "sample_images"
NAMES = ("astronaut", "brick", "camera", "cell", "chelsea", "clock", "coffee", "retina", "rocket")


def sample(name: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(SAMPLES / f"{name}.png"))[40:200, 40:200]


def planes(image: NDArray[Any]) -> NDArray[np.float32]:
    return np.moveaxis(np.atleast_3d(image), -1, 0).astype(np.float32) / 255


def found(image: NDArray[Any]) -> NDArray[np.bool_]:
    return find_impulses(planes(image))


@pytest.mark.parametrize("name", NAMES)
def test_no_false_alarms_on_pictures_and_other_noise(name: str) -> None:
    clean = sample(name)
    alarms = [sigma for sigma in (0, 15, 25, 50, 75) if found(add_noise(clean, "gaussian", sigma)).any()]
    others = [("poisson", 40), ("poisson", 80), ("speckle", 100), ("correlated", 40), ("demosaicked", 40), ("jpeg", 25)]
    assert alarms == []
    assert [case for case in others if found(add_noise(clean, *case)).any()] == []


def line_art(scale: int) -> NDArray[np.uint8]:
    picture = Image.new("L", (192 * scale, 192 * scale), 255)
    draw = ImageDraw.Draw(picture)
    for start in range(0, 192, 9):
        draw.line([(0, start * scale), (191 * scale, (191 - start) * scale)], fill=0, width=scale)
    picture = picture.resize((192, 192), Image.Resampling.BOX)
    draw = ImageDraw.Draw(picture)
    for top in range(0, 180, 17):
        draw.text((5, top), "line art and letters; :., iii", fill=0)
    return np.asarray(picture)


@pytest.mark.parametrize("scale", [1, 4])
@pytest.mark.parametrize("sigma", [0, 15, 50, 75])
def test_no_false_alarms_on_line_art(scale: int, sigma: float) -> None:
    assert not found(add_noise(line_art(scale), "gaussian", sigma)).any()


def test_no_false_alarms_on_black_white_and_dithered_pictures() -> None:
    halves = np.repeat(np.uint8([[0, 255]]), 64, axis=1).repeat(128, axis=0)
    chequers = (np.indices((128, 128)) // 4).sum(0) % 2 * 255
    dithered = np.asarray(Image.fromarray(sample("camera")).convert("1")).astype(np.uint8) * 255
    for picture in (halves, chequers, dithered):
        for sigma in (0, 15, 50):
            assert not found(add_noise(picture.astype(np.uint8), "gaussian", sigma)).any()


@pytest.mark.parametrize("name", ["astronaut", "brick", "camera", "cell", "retina"])
@pytest.mark.parametrize("share", [3, 10, 30])
def test_salt_and_pepper_is_found(name: str, share: float) -> None:
    clean = sample(name)
    noisy = add_noise(clean, "salt-and-pepper", share)
    struck = np.atleast_3d(noisy != clean).any(2)
    marked = found(noisy)
    assert (marked & struck).sum() > 0.9 * struck.sum()
    assert (marked & ~struck).mean() < 0.002


def test_impulses_of_one_channel_and_of_one_colour_are_found() -> None:
    clean = sample("retina")
    struck = np.random.default_rng(0).random(clean.shape[:2]) < 0.05
    hot = clean.copy()
    hot[struck, 1] = 255
    np.testing.assert_array_equal(found(hot), struck)


def test_impulses_on_top_of_noise_are_found() -> None:
    clean = add_noise(sample("retina"), "gaussian", 15)
    noisy = add_noise(clean, "salt-and-pepper", 10)
    struck = (noisy != clean).any(2)
    assert (found(noisy) & struck).sum() > 0.95 * struck.sum()
