"""Inpainting masks: True where pixels are to be filled in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from restore.errors import InputError
from restore.images.picture import Array, Picture
from restore.images.reading import read

__all__ = ["Mask", "hidden_fraction", "mask_from_array", "read_mask"]

Mask = np.ndarray[Any, np.dtype[np.bool_]]


def read_mask(path: str | Path, size: tuple[int, int], *, invert: bool = False) -> Mask:
    """Return the mask in a picture file as bool, (H, W), True in the hole.

    Any pixel that is not black is the hole, in whatever format, dtype or colours; NaN is the hole too. Two rules look
    closer:

    - a file compressed with loss (JPEG, lossy WebP) rings around edges, so there the hole begins at half the range;
    - with an alpha channel a fully transparent pixel is not in the hole, and if only the alpha channel varies (a layer
      of strokes in one colour) it alone is the mask.

    size: height and width of the picture
    invert: take the complement, for masks in which white is what is known

    Raises:
        InputError: as `read`, another size, or a mask that hides nothing or everything.
    """
    picture = read(path)
    values = np.moveaxis(picture.values(), 0, -1)
    half = np.iinfo(values.dtype).max / 2 if picture.lossy and values.dtype.kind == "u" else None
    hole = _holes(values > half if half is not None else values != 0, values, picture.alpha)
    if picture.invalid is not None:
        hole |= picture.invalid
    return _checked(hole, size, invert, str(path))


def mask_from_array(array: ArrayLike, size: tuple[int, int], *, invert: bool = False, name: str = "mask") -> Mask:
    """Return the mask that an array shows, as bool, (H, W), by the rules of `read_mask` for exact formats.

    array: (H, W) or (H, W, C) with C = 1 to 4, alpha last for 2 and 4; bool, integers or floats
    size, invert: as for `read_mask`

    Raises:
        InputError: another shape or dtype, or as `read_mask`.

    >>> mask_from_array([[0, 255], [0, 0]], size=(2, 2)).tolist()
    [[False, True], [False, False]]
    """
    picture = Picture.from_array(array, name=name)  # for its checks of shape and dtype
    values = np.asarray(array).reshape(*picture.size, -1)
    alpha = values[..., -1] if picture.alpha is not None else None
    colours = values[..., : picture.channels]
    hole = _holes(colours != 0, colours, alpha)
    return _checked(hole, size, invert, name)


def hidden_fraction(mask: Mask) -> float:
    """Return the part of the picture that a mask hides, 0 to 1; over a half its polarity may be the wrong one.

    >>> hidden_fraction(np.array([[True, False], [False, False]]))
    0.25
    """
    return float(np.mean(mask))


def _holes(bright: Array, values: Array, alpha: Array | None) -> Mask:
    """bright and values: (H, W, 1 or 3); alpha: (H, W)."""
    hole: Mask = np.any(bright, axis=-1)
    if alpha is None:
        return hole
    opaque: Mask = np.not_equal(alpha, 0)
    one_colour = bool((values == values[:1, :1]).all())
    return opaque if one_colour and not opaque.all() else hole & opaque


def _checked(hole: Mask, size: tuple[int, int], invert: bool, name: str) -> Mask:
    if hole.shape != tuple(size):
        raise InputError(
            f"the mask {name!r} is {hole.shape[1]}x{hole.shape[0]} pixels but the picture is {size[1]}x{size[0]}: "
            "a mask must have the size of the picture."
        )
    if invert:
        hole = ~hole
    if not hole.any():
        what = "white everywhere" if invert else "black everywhere"
        raise InputError(f"the mask {name!r} hides nothing ({what}): {_polarity(invert)}.")
    if hole.all():
        what = "black everywhere" if invert else "without a black pixel"
        raise InputError(f"the mask {name!r} hides the whole picture ({what}): leave some pixels known.")
    return np.ascontiguousarray(hole)


def _polarity(invert: bool) -> str:
    return "with inversion black is what gets filled in" if invert else "white is what gets filled in"
