"""Degradations with a known reference, so that anyone can make a test case: noise, missing pixels, text, scratches.

All of them draw from numpy's `default_rng(seed)` and nothing else, so a picture and a seed name the test case.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from restore.errors import InputError, UsageError

__all__ = ["add_gaussian_noise", "apply_mask", "random_mask", "scratch_mask", "text_mask"]

Bytes = NDArray[np.uint8]
Pixels = NDArray[np.integer[Any]] | NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]


def add_gaussian_noise(image: Pixels, sigma: float, seed: int = 0) -> Bytes:
    """Return round(255 clip(x + sigma / 255 n, 0, 1)) with n ~ N(0, 1) drawn in the order of the array.

    Args:
        image: (H, W) or (H, W, C); unsigned integers of any width, or floats in [0, 1].
        sigma: standard deviation on the scale of 0 to 255.
        seed: of numpy's `default_rng`.

    Raises UsageError for a sigma that is negative or not finite, InputError for a dtype or values out of range.

    >>> add_gaussian_noise(np.full((2, 2), 128, np.uint8), sigma=0)
    array([[128, 128],
           [128, 128]], dtype=uint8)
    """
    if not (math.isfinite(sigma) and sigma >= 0):
        raise UsageError(f"sigma must be 0 or more on the scale of 0 to 255, not {sigma}.")
    x = to_unit(image)
    return to_bytes(x + sigma / 255 * np.random.default_rng(seed).standard_normal(x.shape))


def random_mask(shape: tuple[int, int], missing: float, seed: int = 0) -> Mask:
    """Return an (H, W) mask, True at each pixel with probability `missing`, independently: True is the hole.

    Raises UsageError for a share of missing pixels that is not between 0 and 1.

    >>> bool(random_mask((4, 4), missing=1.0).all())
    True
    """
    if not 0 <= missing <= 1:
        raise UsageError(f"the share of missing pixels must lie between 0 and 1, not {missing}.")
    return np.random.default_rng(seed).random(shape) < missing


def apply_mask(image: Pixels, mask: Mask) -> Bytes:
    """Return `image` (H, W) or (H, W, C) as 8 bits with the pixels that `mask` (H, W) marks set to 0.

    Raises InputError where the sizes differ, and for a dtype or values out of range.

    >>> apply_mask(np.full((1, 2), 7, np.uint8), np.array([[True, False]]))
    array([[0, 7]], dtype=uint8)
    """
    if mask.shape != image.shape[:2]:
        raise InputError(f"the mask has {_size(mask)} pixels and the picture {_size(image)}: they must be equal.")
    masked = to_bytes(to_unit(image))
    masked[mask] = 0
    return masked


def text_mask(shape: tuple[int, int], text: str, font_size: int = 18) -> Mask:
    """Return an (H, W) mask of lines of `text` that cover the picture: True, the hole, under the letters.

    The font is the one built into Pillow; each line begins with another word, so that letters do not stand in columns.

    Raises UsageError for a text without a word.
    """
    words = text.split()
    if not words:
        raise UsageError("a text mask needs at least one word.")
    height, width = shape
    picture = Image.new("L", (width, height))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(font_size)
    repeats = 1 + width // font_size
    for line, top in enumerate(range(0, height, round(1.6 * font_size))):
        start = line % len(words)
        draw.text((2, top), " ".join((words[start:] + words[:start]) * repeats), fill=255, font=font)
    return np.asarray(picture) >= 128


def scratch_mask(shape: tuple[int, int], scratches: int = 12, seed: int = 0) -> Mask:
    """Return an (H, W) mask of bent lines, 1 to 3 pixels wide, from edge to edge: True, the hole, on the scratches.

    Raises UsageError for fewer than one scratch.
    """
    if scratches < 1:
        raise UsageError(f"a scratch mask needs at least one scratch, not {scratches}.")
    height, width = shape
    rng = np.random.default_rng(seed)
    picture = Image.new("1", (width, height))
    draw = ImageDraw.Draw(picture)
    way = np.linspace(0, 1, 33)
    for _ in range(scratches):
        start, end = rng.random(2)
        across = start + (end - start) * way + 0.06 * rng.standard_normal() * np.sin(math.pi * rng.integers(1, 4) * way)
        downwards = rng.random() < 0.5
        x, y = (across, way) if downwards else (way, across)
        points = [(float(a), float(b)) for a, b in zip(x * (width - 1), y * (height - 1), strict=True)]
        draw.line(points, fill=1, width=int(rng.integers(1, 4)), joint="curve")
    return np.array(picture, dtype=bool)


def to_unit(image: Pixels) -> NDArray[np.float64]:
    if image.ndim not in (2, 3):
        raise InputError(f"a picture to degrade has the shape (H, W) or (H, W, C), not {image.shape}.")
    unit: NDArray[np.float64] = image.astype(np.float64)
    if image.dtype.kind == "u":
        return unit / float(np.iinfo(image.dtype.str).max)
    if image.dtype.kind != "f":
        raise InputError(f"a picture to degrade holds unsigned integers or floats, not {image.dtype}.")
    if not bool(((image >= 0) & (image <= 1)).all()):
        raise InputError(f"a picture of floats must lie in [0, 1]; this one spans {np.min(image)} to {np.max(image)}.")
    return unit


def to_bytes(unit: NDArray[np.float64]) -> Bytes:
    levels: Bytes = np.rint(255 * unit.clip(0, 1)).astype(np.uint8)
    return levels


def _size(array: NDArray[Any]) -> str:
    return f"{array.shape[1]}x{array.shape[0]}"
